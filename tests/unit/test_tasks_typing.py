"""What users write is type-checked: mypy accepts the right calls and refuses the wrong ones."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path

# In strict mode an "ignore" that hides no error is an error itself, so each of
# them asserts that the line is refused.
USER_CODE = """
from datetime import UTC, datetime
from typing import Any, assert_type

from gearfleet import Client, JobHandle, task
from gearfleet.compat import gearman_task
from gearfleet.compat import task as ztask
from gearfleet.contrib.django import delay_on_commit
from gearfleet.tasks import TaskCall


@task
def resize(image_id: int, width: int = 200) -> str:
    return f"{image_id}x{width}"


@task(queue="bar", priority="high", retries=3, retry_for=OSError, soft_time_limit=60, time_limit=90)
async def send(*, to: str) -> bool:
    return bool(to)


@gearman_task("foo")
def old(a: int) -> bytes:
    return bytes(a)


@ztask()
def zold(a: int) -> int:
    return a


@gearman_task
def bare(a: int) -> float:
    return a / 2


assert_type(resize(1), str)
assert_type(resize.delay(1, width=100), JobHandle)
assert_type(resize.submit(1), str)
assert_type(resize.options(unique="u").submit(1), str)
assert_type(resize.options(priority="low").delay(1), JobHandle)
assert_type(send.submit(to="x"), bool)
assert_type(send.options(timeout=2).submit(to="x"), bool)
assert_type(resize.after(5, 1, width=2), JobHandle)
assert_type(resize.at(datetime.now(UTC), 1), JobHandle)
assert_type(resize.call(1), TaskCall)
assert_type(resize.map([1, 2]), list[JobHandle])
assert_type(resize.options(after=5).options(unique=True).delay(1), JobHandle)
assert_type(old(1), bytes)


async def calls() -> None:
    assert_type(await resize.adelay(1), JobHandle)
    assert_type(await resize.asubmit(1), str)
    assert_type(await send.asubmit(to="x"), bool)
    assert_type(await send.options(timeout=2).asubmit(to="x"), bool)
    assert_type(await Client().asubmit(send, to="x"), bool)
    assert_type(await Client().adelay("shop.resize", 1), JobHandle)
    await resize.adelay("1")  # type: ignore[arg-type]


assert_type(old.submit(1), bytes)
assert_type(bare.submit(1), float)

assert_type(zold(1), int)
assert_type(zold.delay(1), JobHandle)
assert_type(zold.after(2.5, 1), JobHandle)
assert_type(delay_on_commit(resize, 1, width=2), None)

client = Client()
assert_type(client.submit(resize, 1), str)
assert_type(client.submit(send, to="x"), bool)
assert_type(client.submit("shop.resize", 1), Any)
assert_type(client.delay(resize, 1, width=3), JobHandle)
assert_type(client.delay("shop.resize", 1), JobHandle)

zold.delay("1")  # type: ignore[arg-type]
delay_on_commit(resize, "1")  # type: ignore[arg-type]
resize.after(5, "1")  # type: ignore[arg-type]
resize.after("5", 1)  # type: ignore[arg-type]
resize.at(5, 1)  # type: ignore[arg-type]
resize.call(1, height=2)  # type: ignore[call-arg]
task(prority="high")  # type: ignore[call-overload]
resize.delay("1")  # type: ignore[arg-type]
resize.delay(1, height=2)  # type: ignore[call-arg]
resize.submit()  # type: ignore[call-arg]
resize.options(unique="u").delay()  # type: ignore[call-arg]
resize.options(priority="HIGH")  # type: ignore[arg-type]
send.delay("x")  # type: ignore[call-arg]
old.delay("1")  # type: ignore[arg-type]
client.delay(resize, "1")  # type: ignore[call-overload]
client.submit(resize)  # type: ignore[call-overload]
task("bar")  # type: ignore[call-overload]
"""


def test_user_code__is_checked(tmp_path: Path) -> None:
    module = tmp_path / "user_code.py"
    module.write_text(USER_CODE)
    checked = subprocess.run(
        [
            *(sys.executable, "-m", "mypy", "--strict", "--config-file="),
            *("--follow-imports=silent", str(module)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
