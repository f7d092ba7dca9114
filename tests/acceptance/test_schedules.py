"""A user's schedules: declared, looked at, stopped, and each occurrence submitted once."""

from __future__ import annotations

import signal
import sys
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from tests.support.job_servers import JobServer
from tests.support.processes import GEARFLEET, run
from tests.support.schedulers import ScheduleProject
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.supervisord import Supervisord

SECONDLY = """
[schedules.{tag}]
task = "TICK"
cron = "* * * * * *"
kwargs = {{ tag = "{tag}" }}
intended_date_kwarg = "when"
catch_up = true
"""


@pytest.fixture
def project(tmp_path: Path, embedded: JobServer) -> Iterator[ScheduleProject]:
    made = ScheduleProject(tmp_path, embedded.address)
    yield made
    made.close()


def in_a_row(moments: list[str]) -> list[float]:
    """Return the seconds between moments, in their order."""
    known = sorted(datetime.fromisoformat(each).timestamp() for each in moments)
    return [after - before for before, after in pairwise(known)]


def test_settings__jobs_run_at_their_times(project: ScheduleProject) -> None:
    project.name_schedules(SECONDLY.format(tag="a"))
    project.start_ready()
    scheduler = project.scheduler_ready()
    wait_for(lambda: len(project.ticks("a")) >= 3, "three jobs")
    scheduler.signal(signal.SIGTERM)
    assert scheduler.wait() == 0
    assert set(in_a_row(project.ticks("a"))) == {1.0}
    listed = project.listed()["a"]
    assert listed["state"] == "active"
    assert listed["origin"] == "settings"
    assert listed["missed"] == 0
    assert "Scheduler stopped (SIGTERM)" in scheduler.output()


def test_two_schedulers__no_occurrence_is_submitted_twice_or_left_out(
    project: ScheduleProject,
) -> None:
    project.name_schedules("".join(SECONDLY.format(tag=tag) for tag in "abc"))
    project.start_ready()
    first, second = project.scheduler_ready(), project.scheduler_ready()
    wait_for(lambda: all(len(project.ticks(tag)) >= 3 for tag in "abc"), "jobs of each")
    first.kill()  # in the middle of anything
    second.signal(signal.SIGTERM)
    assert second.wait() == 0
    project.scheduler_ready()
    seen = {tag: len(project.ticks(tag)) for tag in "abc"}
    wait_for(lambda: all(len(project.ticks(tag)) > seen[tag] + 1 for tag in "abc"), "more jobs")
    # What the first had claimed, if anything, is submitted when its lease is over.
    wait_for(
        lambda: all(set(in_a_row(project.ticks(tag))) <= {0.0, 1.0} for tag in "abc"),
        "no gap",
        timeout=60,
    )
    for tag in "abc":
        assert 0.0 not in in_a_row(project.ticks(tag))


def test_job_server_down__the_job_is_submitted_when_it_is_back(tmp_path: Path) -> None:
    server = JobServer("embedded")  # not started yet
    project = ScheduleProject(tmp_path, server.address, toml=SECONDLY.format(tag="a"))
    try:
        scheduler = project.scheduler_ready()
        scheduler.wait_for_output("is not submitted yet")
        scheduler.signal(signal.SIGTERM)
        assert scheduler.wait() == 0
        assert "wait for a job server and the next scheduler" in scheduler.output()
        server.start()
        project.start_ready()
        project.scheduler_ready()
        wait_for(lambda: len(project.ticks("a")) >= 3, "the jobs of before and after")
        assert set(in_a_row(project.ticks("a"))) == {1.0}
    finally:
        project.close()
        server.close()


def test_signals__quiet_resume_and_renew(project: ScheduleProject) -> None:
    project.name_schedules(SECONDLY.format(tag="a"))
    project.start_ready()
    scheduler = project.scheduler_ready("--startsecs", "0")
    wait_for(lambda: project.ticks("a"), "a job")
    scheduler.signal(signal.SIGTSTP)
    scheduler.wait_for_output("Quiet:")
    scheduler.signal(signal.SIGCONT)
    scheduler.wait_for_output("again (SIGCONT)")
    seen = len(project.ticks("a"))
    wait_for(lambda: len(project.ticks("a")) > seen, "another job")
    scheduler.signal(signal.SIGHUP)
    assert scheduler.wait() == 75


def test_verbs__pause_resume_run_and_delete(project: ScheduleProject) -> None:
    project.name_schedules('[schedules.yearly]\ntask = "TICK"\nschedule_type = "yearly"\n')
    assert project.listed()["yearly"]["state"] == "active"
    assert project.cli("pause", "yearly")[0]["state"] == "paused"
    assert project.listed()["yearly"]["state"] == "paused"
    assert project.cli("resume", "yearly")[0]["state"] == "active"
    job = project.cli("run", "yearly")[0]["job"]
    project.start_ready()
    project.wait_for_note("tick  ")
    assert project.listed()["yearly"]["last_job"] == job
    code, said = project.cli("delete", "yearly")
    assert (code, "declared in settings" in said) == (2, True)
    code, said = project.cli("pause", "yearyl")
    assert (code, "Did you mean 'yearly'?" in said) == (2, True)


def test_code__declared_made_and_forgotten(tmp_path: Path, embedded: JobServer) -> None:
    more = """
@periodic(minutes=5)
@periodic("daily", name="nightly")
@task
def report():
    pass
"""
    project = ScheduleProject(tmp_path, embedded.address, more=more)
    try:
        assert project.listed().keys() == {"nightly", project.function("report")}
        make = (
            "from gearfleet.schedule import schedule\n"
            f"schedule('{project.function('tick')}', name='made', schedule_type='weekly')\n"
        )
        done = run([sys.executable, "-c", make], cwd=tmp_path, env=project.environment)
        assert done.returncode == 0, done.stderr
        assert project.listed()["made"]["origin"] == "made"
        assert project.cli("delete", "made")[0]["name"] == "made"
        assert "made" not in project.listed()
    finally:
        project.close()


def test_once__what_is_due_now(project: ScheduleProject) -> None:
    project.name_schedules(SECONDLY.format(tag="a"))
    project.start_ready()
    words = [*GEARFLEET, "scheduler", "--once"]
    wait_for(
        lambda: (
            run(words, cwd=project.folder, env=project.environment).returncode == 0
            and project.ticks("a")
        ),
        "a job",
    )


def test_mistakes__are_told_with_their_place(project: ScheduleProject) -> None:
    project.name_schedules('[schedules.a]\ntask = "TICK"\ncron = "61 * * * *"\n')
    for verb in ("scheduler", "render"):
        done = run([*GEARFLEET, verb], cwd=project.folder, env=project.environment)
        assert done.returncode == 78
        assert "Setting 'schedules.a': cron '61 * * * *' is no expression" in done.stderr
        assert "Traceback" not in done.stderr


def test_fleet__the_scheduler_is_one_of_its_programs(
    project: ScheduleProject, supervisord: Supervisord
) -> None:
    project.name_schedules(SECONDLY.format(tag="a") + "[fleet]\nname = 'f'\n")
    words = [*GEARFLEET, "render", "-o", str(supervisord.conf_d)]
    done = run(words, cwd=project.folder, env=project.environment)
    assert done.returncode == 0, done.stderr
    supervisord.start()
    wait_for(lambda: len(project.ticks("a")) >= 2, "two jobs")
    assert set(in_a_row(project.ticks("a"))) == {1.0}
    assert supervisord.ctl("stop", "f_scheduler:*").returncode == 0
    states = {name: info["statename"] for name, info in supervisord.processes().items()}
    assert [state for name, state in states.items() if "scheduler" in name] == ["STOPPED"]
