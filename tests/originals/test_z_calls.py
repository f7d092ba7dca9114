"""Z1 to Z5, Z13, Z14, Z19: what django-ztask's users call, and its settings."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import Client, JobHandle, config
from gearfleet.compat import GearmanClient, task
from gearfleet.config import Settings
from gearfleet.contrib.django.project import read_django
from gearfleet.errors import (
    ConfigError,
    JobFailed,
    PayloadEncodeError,
    ServerUnavailable,
    UnknownName,
)
from gearfleet.gearman import GearmanAdminClient
from gearfleet.tasks import SubmitOptions, bind
from gearfleet.tasks import task as modern_task
from gearfleet.tasks.declarations import declared_in
from tests.support.ports import free_port
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

ran: list[Any] = []


@task()
def print_this(what_to_print: Any, times: int = 1) -> Any:
    ran.append(what_to_print)
    return what_to_print * times


@task
def bare(value: int) -> int:
    return value


@modern_task
async def asynchronous(value: int) -> int:
    await asyncio.sleep(0)
    ran.append(value)
    return value + 1


@modern_task
def breaks(why: str) -> None:
    raise LookupError(why)


@modern_task
def returns_an_object() -> object:
    return object()


@pytest.fixture(autouse=True)
def _nothing_ran() -> None:
    ran.clear()


@pytest.fixture
def client(job_server: JobServer, function: str) -> Iterator[Client]:
    """Functions begin with a name that no other test uses."""
    settings = Settings(servers=(job_server.address,), client_timeout=20.0, prefix=f"{function}.")
    client = Client(settings)
    with bind(client):
        yield client
    client.close()


def queued(client: Client, function: str) -> int:
    with GearmanAdminClient(list(client.settings.servers)) as admin:
        return next((row["queued"] for row in admin.get_status() if row["task"] == function), 0)


def test_z01__the_function_itself() -> None:
    assert print_this.__name__ == "print_this"
    assert type(print_this).__name__ == "function"
    assert print_this("Hello world!") == "Hello world!"
    assert bare(5) == 5
    assert ran == ["Hello world!"]


def test_z02__async_by_getattr(client: Client) -> None:
    handle = getattr(print_this, "async")("This will print to the ztaskd log", times=2)
    assert isinstance(handle, JobHandle)
    assert queued(client, handle.function) == 1
    assert ran == []


def test_z03__delay(client: Client) -> None:
    handle = print_this.delay("x", times=3)
    assert queued(client, handle.function) == 1


def test_z04__after(client: Client) -> None:
    for seconds in (5, 0.5, timedelta(minutes=1)):
        handle = print_this.after(seconds, "This will print to the ztaskd log")
        assert handle.function == f"{client.settings.prefix}{__name__}.print_this+later"
    assert queued(client, handle.function) == 3


@pytest.mark.parametrize("seconds", ["5", None, True])
def test_z04__a_wrong_type_raises_at_the_caller(client: Client, seconds: Any) -> None:
    """django-ztask logged the TypeError and dropped the task, a float too."""
    with pytest.raises(TypeError, match="after must be a number of seconds"):
        print_this.after(seconds, "x")


def test_z04__is_held_by_the_job_server(tmp_path: Path, own_job_server: JobServer) -> None:
    project = WorkerProject(tmp_path, own_job_server.address)
    try:
        begun = time.time()
        calls = Client(project.settings)
        calls.enqueue(project.function("echo"), ["later"], {}, SubmitOptions(after=1))
        calls.close()  # the caller has gone
        project.start_ready()
        project.wait_for_note("echo ('later',)")
        assert time.time() - begun >= 1
    finally:
        project.close()


def test_z05__named_by_module_and_function() -> None:
    assert print_this.task.name == f"{__name__}.print_this"


def test_z05__only_registered_functions_run(job_server: JobServer, tmp_path: Path) -> None:
    """django-ztask ran any function that could be imported."""
    project = WorkerProject(tmp_path, job_server.address)
    config.use(replace(project.settings, always_eager=True))
    try:
        with pytest.raises(UnknownName, match=r"os\.getpid"):
            Client().delay("os.getpid")
    finally:
        config.use(None)


def test_z05__in_any_file() -> None:
    assert print_this.task in declared_in(__name__)


def read(**django: Any) -> Settings:
    return read_django(SimpleNamespace(**django), installed=(), environ={})


@pytest.fixture
def eager() -> Iterator[Client]:
    client = Client(replace(read(ZTASKD_ALWAYS_EAGER=True), servers=("127.0.0.1:1",)))
    with bind(client):
        yield client


def test_z13__the_setting() -> None:
    assert read().always_eager is False
    assert read(ZTASKD_ALWAYS_EAGER=True).always_eager is True
    assert read(ZTASKD_ALWAYS_EAGER=True, GEARFLEET={"ALWAYS_EAGER": False}).always_eager is False
    with pytest.raises(ConfigError, match="always_eager"):
        read(ZTASKD_ALWAYS_EAGER="yes")


def test_z13__runs_here(eager: Client) -> None:
    assert isinstance(print_this.delay("a"), JobHandle)
    getattr(print_this, "async")("b")
    assert print_this.task.submit("c", times=2) == "cc"
    assert ran == ["a", "b", "c"]
    assert len(eager.submit_many([print_this.task.call(n) for n in (1, 2)])) == 2
    assert len(print_this.task.map([3, 4])) == 2
    assert ran[3:] == [1, 2, 3, 4]
    assert eager.submit_job(f"{__name__}.print_this", "d") == "d"


def test_z13__the_delay_is_ignored_and_logged(
    eager: Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        print_this.after(3600, "now")
    assert ran == ["now"]
    assert "its delay is ignored" in caplog.text


def test_z13__exceptions_reach_the_caller(eager: Client) -> None:
    with pytest.raises(LookupError, match="shelf"):
        breaks.delay("shelf")
    with pytest.raises(JobFailed, match="LookupError: shelf") as caught:
        breaks.submit("shelf")
    assert isinstance(caught.value.__cause__, LookupError)


def test_z13__what_could_not_be_sent_is_refused(eager: Client) -> None:
    with pytest.raises(PayloadEncodeError):
        print_this.delay(object())
    with pytest.raises(PayloadEncodeError):
        returns_an_object.delay()


def test_z13__asynchronous(eager: Client) -> None:
    async def calls() -> None:
        await asynchronous.adelay(1)
        assert await asynchronous.asubmit(2) == 3
        assert asynchronous.submit(3) == 4  # in a thread, as this loop is busy
        with pytest.raises(JobFailed, match="LookupError"):
            await breaks.asubmit("shelf")

    asyncio.run(calls())
    assert asynchronous.submit(4) == 5
    assert ran == [1, 2, 3, 4]


@pytest.fixture
def disabled() -> Iterator[Client]:
    client = Client(replace(read(ZTASKD_DISABLED=True), servers=("127.0.0.1:1",)))
    with bind(client):
        yield client


def test_z14__the_setting() -> None:
    assert read().disabled is False
    assert read(ZTASKD_DISABLED=True).disabled is True


def test_z14__logged_and_not_run(disabled: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        print_this.delay("a", times=2)
        print_this.after(5, "b")
        assert print_this.task.submit("c") is None
        asyncio.run(print_this.task.adelay("d"))
        print_this.task.map(["e"])
    assert ran == []
    assert caplog.text.count("Jobs are disabled") == 5
    assert "print_this with ('a',) and {'times': 2} is not run" in caplog.text


@pytest.fixture
def unreachable() -> Settings:
    return Settings(servers=(f"127.0.0.1:{free_port()}",), client_timeout=2.0)


def test_z19__raises(unreachable: Settings) -> None:
    with bind(Client(unreachable)), pytest.raises(ServerUnavailable):
        print_this.delay("a")
    assert ran == []


def test_z19__runs_here_by_setting_and_is_logged(
    unreachable: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    with bind(Client(replace(unreachable, send_failure="run"))):
        print_this.delay("a")
        asyncio.run(print_this.task.adelay("b"))
    assert ran == ["a", "b"]
    assert caplog.text.count("runs in this process, because it could not be submitted") == 2


def test_z19__a_foreground_job_raises_all_the_same(unreachable: Settings) -> None:
    client = Client(replace(unreachable, send_failure="run"))
    with pytest.raises(ServerUnavailable):
        client.submit(print_this.task, "a")


def test_z19__the_setting_is_checked() -> None:
    with pytest.raises(ConfigError, match=r'send_failure.*"raise" or "run"'):
        read(GEARFLEET={"SEND_FAILURE": "log"})


def test_z13__the_client_of_compat_too(eager: Client) -> None:
    config.use(eager.settings)
    try:
        client = GearmanClient()
        assert client.submit_job(print_this.task, "a", times=2).result == "aa"
        assert client.dispatch_background_task(print_this.task, "b").complete
        failed = client.submit_job(breaks, "shelf")
    finally:
        config.use(None)
    assert ran == ["a", "b"]
    assert failed.state == "FAILED"
    assert b"shelf" in failed.exception
