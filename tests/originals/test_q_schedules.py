"""Q7, Q8, QX13, QX14: Django Q's schedules, in a Django project with its database."""

from __future__ import annotations

import json
import sys
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from tests.originals.projects import Project, make_project
from tests.support.processes import Process, run
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer

WORKER = """
from pathlib import Path

from gearfleet import task

FOLDER = Path(__file__).parents[2]

@task
def add(*args, **kwargs):
    with (FOLDER / "diary").open("a") as diary:
        diary.write(f"{args} {kwargs}\\n")
    return sum(args)
"""
DATABASE = """
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": __file__.replace("settings.py", "db.sqlite3"),
        "OPTIONS": {"timeout": 20},
    }
}
TIME_ZONE = "Europe/Berlin"
GEARFLEET["RESULTS"] = "django"
"""
FUNC = "myapp.gearman_workers.worker.add"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, embedded: JobServer) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("site")
    made = make_project(folder, embedded.address, {"worker": WORKER})
    made.add_settings(DATABASE)
    done = run(made.manage("migrate", "-v", "0"), cwd=folder, env=made.environment)
    assert done.returncode == 0, done.stderr
    words = made.gearfleet("worker", "-a", "myapp", "-n", "worker")
    worker = Process(words, log=folder / "worker.log", cwd=folder, env=made.environment)
    worker.wait_for_output("Registered at job server")
    yield made
    worker.kill()


@pytest.fixture
def shell(project: Project) -> Callable[[str], Any]:
    """Run code of the project, which prints JSON."""

    def do(code: str) -> Any:
        head = "import django, json; django.setup()\n"
        head += "from gearfleet.compat.django_q import schedule\n"
        head += "from gearfleet.contrib.django.models import Schedule\n"
        done = run(
            [sys.executable, "-W", "error::RuntimeWarning", "-c", head + dedent(code)],
            cwd=project.folder,
            env={**project.environment, "DJANGO_SETTINGS_MODULE": "settings"},
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout else None

    return do


def submit_what_is_due(project: Project) -> str:
    words = project.gearfleet("scheduler", "--once")
    done = run(words, cwd=project.folder, env=project.environment)
    assert done.returncode == 0, done.stderr
    return done.stderr


def diary(project: Project) -> list[str]:
    path: Path = project.folder / "diary"
    return path.read_text().splitlines() if path.exists() else []


def test_q7_q8__a_row_of_the_model(project: Project, shell: Callable[[str], Any]) -> None:
    shell(f"""
        Schedule.objects.create(func="{FUNC}", args="2, -1", name="row",
                                schedule_type=Schedule.HOURLY, repeats=2)
    """)
    submit_what_is_due(project)
    assert "row" not in submit_what_is_due(project)  # it is not due again
    wait_for(lambda: "(2, -1) {}" in diary(project), "the job")

    assert shell("""
        from gearfleet import fetch
        row = Schedule.objects.get(name="row")
        fetch(row.task, wait=20)
        print(json.dumps([row.repeats, row.success(), row.result(), len(row.task)]))
    """) == [1, True, 1, 32]


def test_q8__two_schedulers_at_once(project: Project, shell: Callable[[str], Any]) -> None:
    shell(f"""
        from datetime import timedelta
        from django.utils import timezone
        for number in range(20):
            schedule("{FUNC}", number, tag="both", schedule_type="O",
                     next_run=timezone.now() - timedelta(seconds=1))
    """)
    words = project.gearfleet("scheduler", "--poll", "0.05")
    schedulers = [
        Process(
            words, log=project.folder / f"s{n}.log", cwd=project.folder, env=project.environment
        )
        for n in range(2)
    ]
    wanted = sorted(f"({number},) {{'tag': 'both'}}" for number in range(20))
    try:
        wait_for(lambda: len([x for x in diary(project) if "both" in x]) >= 20, "all jobs")
    finally:
        for each in schedulers:
            each.terminate()
    assert sorted(line for line in diary(project) if "both" in line) == wanted
    said = "".join(each.output() for each in schedulers)
    assert said.count("submitted job") == 20


def test_qx13__schedule_and_what_it_refuses(project: Project, shell: Callable[[str], Any]) -> None:
    found = shell(f"""
        from gearfleet.errors import GearfleetError
        made = schedule("{FUNC}", 1, name="x", hook="a.b", schedule_type=Schedule.MINUTES,
                        minutes=5, intended_date_kwarg="day", q_options={{"task_name": "n"}}, y=2)
        row = Schedule.objects.get(uid=made.id)
        refused = []
        for bad in (dict(name="x"), dict(schedule_type="Z"), dict(cron="x"), dict(minutes=0)):
            try:
                schedule("{FUNC}", **bad)
            except GearfleetError as error:
                refused.append(str(error))
        try:
            schedule("math.copysign", 2, -2)
        except GearfleetError as error:
            refused.append(str(error))
        print(json.dumps([row.schedule_type, row.minutes, row.args, row.kwargs, row.hook, refused]))
        row.delete()
    """)
    assert found[:5] == ["I", 5, "(1,)", "{'y': 2}", "a.b"]
    told = found[5]
    assert "a schedule called 'x' already" in told[0]
    assert "Unknown type of schedule 'Z'" in told[1]
    assert "cron 'x' is no expression" in told[2]
    assert "minutes must be" in told[3]
    assert "'math.copysign' is no task" in told[4]


def test_qx14__once_paused_and_the_intended_date(
    project: Project, shell: Callable[[str], Any]
) -> None:
    shell(f"""
        from datetime import datetime, UTC
        at = datetime(2026, 7, 1, 12, tzinfo=UTC)
        schedule("{FUNC}", name="gone", next_run=at, intended_date_kwarg="day")
        schedule("{FUNC}", name="kept", next_run=at, repeats=1)
        schedule("{FUNC}", name="zero", next_run=at, repeats=0)
    """)
    said = submit_what_is_due(project)
    assert "'zero'" not in said
    wait_for(
        lambda: "() {'day': '2026-07-01T14:00:00+02:00'}" in diary(project), "the intended date"
    )
    assert shell("""
        print(json.dumps(sorted(Schedule.objects.filter(
            name__in=["gone", "kept", "zero"]).values_list("name", "repeats"))))
    """) == [["kept", 0], ["zero", 0]]
