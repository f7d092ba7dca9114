"""gearfleet works from a wheel, an sdist, an editable install and a bare checkout."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.support.read_back import read_back

if TYPE_CHECKING:
    from tests.packaging.conftest import Installed

LOOK = """
import json
from importlib.resources import files
from importlib.util import find_spec
import gearfleet
from gearfleet.fleet.templates import environment, template_root

examples = files("gearfleet.examples") if find_spec("gearfleet.examples") else None
print(json.dumps({
    "home": gearfleet.__file__,
    "loaded": environment().list_templates(extensions=["j2"]),
    "listed": [entry.name for entry in template_root().iterdir()],
    "examples": [entry.name for entry in examples.iterdir()] if examples else None,
}))
"""
TASKS = """
from gearfleet import task

@task(queue="mails")
def send(address):
    "Send a mail."
"""


@pytest.fixture
def seen(installed: Installed) -> dict[str, list[str]]:
    """What Python finds of gearfleet there."""
    answer = installed.run("python", "-c", LOOK)
    assert answer.returncode == 0, answer.stderr
    found: dict[str, list[str]] = json.loads(answer.stdout)
    return found


def test_installed__is_the_one_that_was_built(
    installed: Installed, seen: dict[str, list[str]]
) -> None:
    in_checkout = installed.kind in ("editable", "checkout")
    home = installed.checkout if in_checkout else installed.cwd
    assert str(seen["home"]).startswith(f"{home}/")


def test_installed__finds_its_templates(installed: Installed, seen: dict[str, list[str]]) -> None:
    shipped = {path.name for path in (installed.checkout / "templates").glob("*.j2")}
    assert shipped
    assert shipped <= set(seen["loaded"])
    assert shipped <= set(seen["listed"])


def test_installed__finds_its_examples(installed: Installed, seen: dict[str, list[str]]) -> None:
    if installed.kind == "checkout":  # there they are beside the package
        assert seen["examples"] is None
        assert (installed.checkout / "examples" / "shop" / "manage.py").is_file()
    else:
        assert {"shop", "plain"} <= set(seen["examples"])


def test_installed__renders_a_project(installed: Installed) -> None:
    (installed.cwd / "letters").mkdir(exist_ok=True)
    (installed.cwd / "letters" / "__init__.py").touch()
    (installed.cwd / "letters" / "tasks.py").write_text(TASKS)
    answer = installed.gearfleet("render", "--app", "letters")
    assert answer.returncode == 0, answer.stderr
    (process,) = read_back(answer.stdout)["mails"]
    assert process["name"] == "letters_tasks_00"
    assert process["command"][0].startswith(str(installed.bin))


def test_installed__has_the_command(installed: Installed) -> None:
    answer = installed.gearfleet("--version")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("gearfleet ")
