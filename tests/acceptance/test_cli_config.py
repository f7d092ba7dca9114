"""``gearfleet config``: what counts, who said so, and what nobody is shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gearfleet.cli.config import HIDDEN, hidden
from tests.support.processes import GEARFLEET, ROOT, clean_environment, run

if TYPE_CHECKING:
    from pathlib import Path

SETTINGS = """\
apps = ["mill"]
retries = 2
schedules.night = { task = "mill.tasks.saw", at = 2030-01-01T03:00:00Z }
signing_keys = ["a-secret-of-the-mill"]
[fleet]
name = "shop"
processes = 2
environment = { LANG = "C.UTF-8", API_TOKEN = "hunter2", BROKER = "http://user:hunter2@x/" }
[queues.bar]
drain_timeout = 90
[hosts.web]
cpus = 4
[hosts.web.programs.mill_tasks]
processes = "cpu"
[hosts.web1]
role = "web"
url = "http://web1:9001"
[groups.bar]
priority = 5
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "mill").mkdir()
    (tmp_path / "mill" / "__init__.py").touch()
    (tmp_path / "mill" / "tasks.py").write_text(
        'from gearfleet import task\n@task(queue="bar")\ndef saw(): pass\n'
    )
    (tmp_path / "gearfleet.toml").write_text(SETTINGS)
    return tmp_path


def rows(*words: str, cwd: Path, **env: str) -> dict[str, tuple[object, str]]:
    """Return value and source of each setting."""
    done = run([*GEARFLEET, "config", "--json", *words], cwd=cwd, env=clean_environment(**env))
    assert done.returncode == 0, done.stderr
    assert "hunter2" not in done.stdout
    assert "a-secret" not in done.stdout
    return {row["setting"]: (row["value"], row["from"]) for row in json.loads(done.stdout)}


def test_config__tells_each_setting_and_where_it_comes_from(project: Path) -> None:
    found = rows("--app", "mill", cwd=project, GEARFLEET_SERVERS="10.0.0.5")
    file = str(project / "gearfleet.toml")
    assert found["apps"] == (["mill"], "command line --app")
    assert found["servers"] == (["10.0.0.5"], "environment GEARFLEET_SERVERS")
    assert found["retries"] == (2, file)
    assert found["save_limit"] == (250, "default")
    assert found["signing_keys"] == ([HIDDEN], file)
    assert "2030-01-01" in str(found["schedules"][0])
    assert found["fleet.name"] == ("shop", file)
    assert found["fleet.environment.LANG"] == ("C.UTF-8", file)
    assert found["fleet.environment.API_TOKEN"] == (HIDDEN, file)
    assert found["fleet.environment.BROKER"] == (f"http://user:{HIDDEN}@x/", file)
    assert found["groups.bar.priority"] == (5, file)
    assert found["hosts.web.programs.mill_tasks.processes"] == ("cpu", file)
    assert found["hosts.web1.role"] == ("web", file)


def test_config__of_one_program_on_one_host(project: Path) -> None:
    found = rows("mill_tasks", "--host", "web1", cwd=project)
    assert found["processes"] == ("cpu", "hosts.web.programs.mill_tasks.processes")
    assert found["drain_timeout"] == (90, "queues.bar.drain_timeout")
    assert found["startsecs"] == (2, "default")
    assert found["environment.API_TOKEN"] == (HIDDEN, "fleet.environment.API_TOKEN")


def test_config__as_a_table(project: Path) -> None:
    done = run([*GEARFLEET, "config"], cwd=project, env=clean_environment())
    (line,) = [line for line in done.stdout.splitlines() if "fleet.processes" in line]
    assert [cell.strip() for cell in line.strip("│").split("│")][1] == "2"


def test_config__of_a_program_that_does_not_exist(project: Path) -> None:
    done = run([*GEARFLEET, "config", "mill_task"], cwd=project, env=clean_environment())
    assert done.returncode == 2
    assert "Unknown program 'mill_task' (known: mill_tasks, scheduler)" in done.stderr


def test_config__under_django_names_the_setting_of_the_originals(tmp_path: Path) -> None:
    (tmp_path / "site_settings.py").write_text(
        "SECRET_KEY = 'a-secret-of-the-site-x'\nINSTALLED_APPS = []\n"
        "GEARMAN_SERVERS = ['10.0.0.5']\nZTASKD_RETRY_COUNT = 3\nQ_CLUSTER = {'workers': 4}\n"
        "GEARFLEET = {'SAVE_LIMIT': 9}\n"
    )
    found = rows("--settings", "site_settings", cwd=tmp_path, PYTHONPATH=str(ROOT))
    assert found["signing_keys"] == ([HIDDEN], "Django settings SECRET_KEY")
    assert found["servers"] == (["10.0.0.5"], "Django settings GEARMAN_SERVERS")
    assert found["retries"] == (3, "Django settings ZTASKD_RETRY_COUNT")
    assert found["fleet.processes"][0] == 4
    assert "Q_CLUSTER" in found["fleet.processes"][1]
    assert found["save_limit"] == (9, "Django settings GEARFLEET")


@pytest.mark.parametrize(
    ("path", "value", "shown"),
    [
        ("environment.DB_PASSWORD", "x", HIDDEN),
        ("hosts.a.fleet.environment.secret_key", "x", HIDDEN),
        ("fleet.environment.LANG", "C", "C"),
        ("programs.x.command", ["run", "amqp://u:p@h"], ["run", f"amqp://u:{HIDDEN}@h"]),
        ("hosts.a.password_env", "SUPERVISOR_PASSWORD", "SUPERVISOR_PASSWORD"),
        ("retries", 3, 3),
        ("schedules", {"a": {"args": ["x://u:p@h"]}}, {"a": {"args": [f"x://u:{HIDDEN}@h"]}}),
    ],
)
def test_hidden(path: str, value: object, shown: object) -> None:
    assert hidden(path, value) == shown
