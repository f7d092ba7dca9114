"""Golden files: a representative fleet, read alike by Supervisor 4.3 and Debian's 4.2.5.

Write them again with ``GOLDEN=write``, and read the difference.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from gearfleet.fleet import Fleet, render, render_one, validate
from tests.support.debian import SYSTEM_PYTHON, require_system_supervisor
from tests.support.fleets import fleet, representative
from tests.support.processes import run
from tests.support.read_back import read_back

if TYPE_CHECKING:
    from tests.support.supervisord import Supervisord

GOLDEN = Path(__file__).resolve().parents[1] / "golden"


@pytest.fixture
def shop() -> Fleet:
    return representative()


def test_golden_files__one_per_program_and_the_groups(shop: Fleet) -> None:
    files = render(shop)
    _write_if_asked(files)
    assert files == {path.name: path.read_text() for path in GOLDEN.glob("*.conf")}


def test_golden_file__of_the_whole_fleet(shop: Fleet) -> None:
    text = render_one(shop)
    _write_if_asked({"one.ini": text})
    assert text == (GOLDEN / "one.ini").read_text()


def _write_if_asked(files: dict[str, str]) -> None:
    if os.environ.get("GOLDEN") == "write":
        for name, text in files.items():
            (GOLDEN / name).write_text(text)


def test_golden_files__are_what_was_planned(shop: Fleet) -> None:
    validate(shop, render(shop))
    validate(shop, {"fleet.conf": render_one(shop)})


def test_golden_files__one_file_or_many_mean_the_same(shop: Fleet) -> None:
    assert read_back(render_one(shop)) == read_back(*render(shop).values())


def test_golden_files__supervisor_4_2_5_reads_the_same(shop: Fleet) -> None:
    require_system_supervisor()
    script = Path(__file__).resolve().parents[1] / "support" / "read_back.py"
    golden = sorted(GOLDEN.glob("*.conf"))
    answer = run([SYSTEM_PYTHON, "-W", "ignore", script, *golden])
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout) == read_back(*(path.read_text() for path in golden))


VALIDATE = """
import sys
from pathlib import Path
from tests.support.fleets import representative
from gearfleet.fleet import validate

validate(representative(), {path.name: path.read_text() for path in map(Path, sys.argv[1:])})
"""


def test_validate__with_supervisor_4_2_5() -> None:
    require_system_supervisor()
    golden = sorted(GOLDEN.glob("*.conf"))
    answer = run([SYSTEM_PYTHON, "-W", "ignore", "-c", VALIDATE, *golden])
    assert answer.returncode == 0, answer.stderr
    answer = run([SYSTEM_PYTHON, "-W", "ignore", "-c", VALIDATE, *golden[1:]])
    assert "InvalidFleet" in answer.stderr


def test_supervisord__runs_what_was_rendered(supervisord: Supervisord) -> None:
    planned = fleet(
        root=supervisord.folder,
        fleet={
            # The worker's arguments go to a shell that does not look at them.
            "executable": ["/bin/sh", "-c", 'echo "$0 $MOTTO"; exec sleep 600', "50% ; #"],
            "environment": {"MOTTO": "it's 5%;#1"},
            "startsecs": 1,
            "processes": 2,
            "stdout_logfile": "%(program_name)s-%(process_num)d-100%.log",
        },
    )
    files = render(planned)
    validate(planned, files)
    for name, text in files.items():
        (supervisord.conf_d / name).write_text(text)
    supervisord.start()
    supervisord.wait_until_running()
    assert set(supervisord.processes("bar")) == {
        f"{name}_{number:02d}" for name in ("worker_bar", "worker_bar2") for number in (0, 1)
    }
    assert (supervisord.folder / "worker_bar-1-100%.log").read_text() == "50% ; # it's 5%;#1\n"
