"""The pytest fixtures, in a project of somebody who uses gearfleet."""

from __future__ import annotations

import sys
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import clean_environment, run

if TYPE_CHECKING:
    from pathlib import Path

TASKS = """\
import asyncio
from gearfleet import task
from gearfleet.compat import task as ztask

ran = []

@task(queue="mail")
def send_welcome(address, subject="Welcome"):
    ran.append(address)
    return f"{subject}: {address}"

@task
async def double(number):
    await asyncio.sleep(0)
    return 2 * number

@task
def fail(why):
    raise LookupError(why)

@ztask()
def old(value):
    return value

def sign_up(address):
    return send_welcome.delay(address)
"""


class Project:
    """A project with one app, whose tests the test writes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "shop").mkdir()
        (folder / "shop" / "__init__.py").touch()
        (folder / "shop" / "tasks.py").write_text(TASKS)
        (folder / "gearfleet.toml").write_text("apps = ['shop']\nservers = ['127.0.0.1:1']\n")

    def test(self, source: str) -> str:
        """Run pytest as its user would, and return what it says."""
        head = "import asyncio, time, pytest\nfrom gearfleet import Client\nfrom shop.tasks import *\nfrom shop.tasks import ran\n\n"
        (self.folder / "test_it.py").write_text(head + dedent(source))
        done = run(
            [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "gearfleet.testing.plugin"],
            cwd=self.folder,
            env=clean_environment(PYTHONPATH=".", PYTEST_DISABLE_PLUGIN_AUTOLOAD="1"),
        )
        return done.stdout + done.stderr


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def test_submitted__records_and_runs_nothing(project: Project) -> None:
    told = project.test(
        """
        def test_signing_up(submitted):
            handle = sign_up("ada@example.org")
            job = submitted.assert_once(send_welcome, "ada@example.org")
            assert (job.task, job.args, job.waits) == ("shop.send_welcome", ("ada@example.org",), False)
            assert handle.function == "shop.send_welcome"
            assert ran == []

        def test_by_position_or_by_name(submitted):
            send_welcome.delay(address="a")
            submitted.assert_once(send_welcome, "a", subject="Welcome")
            submitted.assert_once("shop.send_welcome", address="a")

        def test_options(submitted):
            send_welcome.options(priority="high").after(60, "a")
            [job] = submitted
            assert (job.options.priority, job.options.after) == ("high", 60)

        def test_every_way(submitted):
            send_welcome.map(["a", "b"])
            Client().delay("shop.send_welcome", "c")
            Client().submit_job("shop.send_welcome", "d", background=True)
            Client().submit_many([send_welcome.call("e")])
            asyncio.run(send_welcome.adelay("f"))
            old.delay("g")
            assert [job.args[0] for job in submitted] == list("abcdefg")
            assert len(submitted.of(send_welcome)) == 6
            assert len(submitted.of(old)) == 1
            submitted.clear()
            submitted.assert_none()

        def test_answers(submitted):
            assert double.submit(4) is None
            submitted.returns(double, 8)
            assert double.submit(4) == 8
            assert asyncio.run(double.asubmit(4)) == 8
            submitted.returns(double, TimeoutError("no"))
            with pytest.raises(TimeoutError):
                double.submit(4)
            assert [job.waits for job in submitted] == [True] * 4

        def test_what_cannot_be_sent(submitted):
            with pytest.raises(TypeError):
                send_welcome.delay(object())
        """
    )
    assert "6 passed" in told, told


def test_submitted__says_what_was_submitted_instead(project: Project) -> None:
    told = project.test(
        """
        def test_another(submitted):
            send_welcome.delay("ada", subject="Hello")
            submitted.assert_once(send_welcome, "bob")

        def test_twice(submitted):
            send_welcome.map(["a", "a"])
            submitted.assert_once(send_welcome, "a")

        def test_none(submitted):
            submitted.assert_once(send_welcome, "a")

        def test_some(submitted):
            send_welcome.delay("a")
            submitted.assert_none(send_welcome)
        """
    )
    assert "4 failed" in told
    assert "Expected one job shop.send_welcome('bob'); submitted were:" in told
    assert "shop.send_welcome('ada', subject='Hello')" in told
    assert "nothing was submitted" in told
    assert "Expected no job of shop.send_welcome" in told


def test_inline_tasks__run_at_once(project: Project) -> None:
    told = project.test(
        """
        from gearfleet.errors import JobFailed

        def test_runs(inline_tasks):
            sign_up("ada")
            assert ran == ["ada"]
            inline_tasks.assert_once(send_welcome, "ada")
            assert double.submit(4) == 8
            assert Client().submit("shop.double", 4) == 8

        def test_fails(inline_tasks):
            with pytest.raises(LookupError):
                fail.delay("shelf")
            with pytest.raises(JobFailed, match="shelf"):
                fail.submit("shelf")
        """
    )
    assert "2 passed" in told, told


def test_job_server_and_worker__are_real(project: Project) -> None:
    told = project.test(
        """
        from gearfleet.errors import JobFailed
        from gearfleet.compat import GearmanClient

        def test_runs(worker):
            assert send_welcome.submit("ada", subject="Hi") == "Hi: ada"
            with Client() as client:
                assert client.submit("shop.double", 4) == 8
            assert asyncio.run(double.asubmit(5)) == 10
            with pytest.raises(JobFailed, match="shelf"):
                fail.submit("shelf")
            sign_up("bob")
            assert send_welcome.submit("last")
            assert ran == ["ada", "bob", "last"]

        def test_for_python_gearman(worker, job_server):
            with GearmanClient() as client:
                assert client.submit_job("shop.double", 6).result == 12

        def test_later(worker):
            send_welcome.after(1, "late")
            deadline = time.monotonic() + 30
            while "late" not in ran and time.monotonic() < deadline:
                time.sleep(0.05)
            assert "late" in ran

        def test_server_alone(job_server):
            assert sign_up("eve").server == job_server.address

        def test_another_server(job_server):
            assert sign_up("eve").server == job_server.address
        """
    )
    assert "5 passed" in told, told


def test_plugin__imports_nothing_before_a_fixture_is_asked_for(project: Project) -> None:
    told = project.test("def test_nothing(): pass\n")
    assert "1 passed" in told
    code = "import sys, gearfleet.testing.plugin as p; print([m for m in sys.modules if m.startswith('gearfleet.')])"
    done = run([sys.executable, "-c", code], cwd=project.folder, env=clean_environment())
    assert "gearfleet.client" not in done.stdout, done.stdout
    assert "gearfleet.gearman" not in done.stdout, done.stdout
