"""Fixtures of every tier. Servers are started once for each test process and shared."""

from __future__ import annotations

import compileall
import contextlib
import importlib
import os
import shutil
import sys
import tempfile
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import ready
from tests.support.job_servers import JobServer, has_gearmand
from tests.support.processes import ROOT
from tests.support.supervisord import Supervisord

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

for _name in [name for name in os.environ if name.startswith(("GEARFLEET_", "DJANGO_"))]:
    del os.environ[_name]
# Tests write modules and write them anew within one second, in which Python would take what it
# has compiled for up to date.
os.environ["PYTHONDONTWRITEBYTECODE"] = "1"


def pytest_configure(config: pytest.Config) -> None:
    """Compile gearfleet once: each of the processes that tests start would do it for itself."""
    config.add_cleanup(ready.close)
    if not hasattr(config, "workerinput"):  # the process that starts the others
        # What no test gives a folder of its own does not mix with a fleet of this user.
        os.environ["XDG_RUNTIME_DIR"] = runtime = tempfile.mkdtemp(prefix="gearfleet-tests-")
        config.add_cleanup(lambda: shutil.rmtree(runtime, ignore_errors=True))
        compileall.compile_dir(ROOT / "gearfleet", quiet=2)


@pytest.hookimpl(wrapper=True)
def pytest_collection(session: pytest.Session) -> Generator[None, object, object]:
    """Let the processes of pytest-xdist share what pytest makes of the tests' `assert`s.

    It takes twice as long as all the rest of the collection. What the tests themselves import
    stays uncompiled, see above.
    """
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    try:
        _compile_a_share(session.config)
        return (yield)
    finally:
        sys.dont_write_bytecode = before


def _compile_a_share(config: pytest.Config) -> None:
    """Begin with other tests than the other processes, where all would do the same side by side."""
    number: str | None = getattr(config, "workerinput", {}).get("workerid")
    if number is None or config.args != config.getini("testpaths"):
        return
    tests = sorted((ROOT / "tests").rglob("test_*.py"))
    for test in tests[int(number.removeprefix("gw")) :: config.workerinput["workercount"]]:
        # What is wrong with one is said when it is collected.
        with contextlib.suppress(Exception, pytest.skip.Exception):
            importlib.import_module(".".join(test.relative_to(ROOT).with_suffix("").parts))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave what is short for the end."""
    from tests.support.scheduling import long_ones_first

    long_ones_first(items)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Leave the tests together that share what takes long to make."""
    from tests.support.scheduling import Together

    return Together(config, log)


@pytest.fixture(scope="session")
def gearmand() -> Iterator[JobServer]:
    """Debian's gearmand, shared: use function names of your own."""
    server = JobServer("gearmand").start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def embedded() -> Iterator[JobServer]:
    """gearfleet's embedded job server in a process of its own, shared."""
    server = JobServer("embedded").start()
    yield server
    server.close()


@pytest.fixture(params=["gearmand", "embedded"])
def job_server(request: pytest.FixtureRequest) -> JobServer:
    """Each of the two job servers in turn: what holds for one must hold for the other."""
    server: JobServer = request.getfixturevalue(request.param)
    return server


@pytest.fixture
def any_job_server(request: pytest.FixtureRequest) -> JobServer:
    """gearmand, or the embedded job server where there is none: for stories of something else."""
    server: JobServer = request.getfixturevalue("gearmand" if has_gearmand() else "embedded")
    return server


@pytest.fixture(params=["gearmand", "embedded"])
def own_job_server(request: pytest.FixtureRequest) -> Iterator[JobServer]:
    """A job server of each kind that the test may stop, kill and start again."""
    server = JobServer(request.param).start()
    yield server
    server.close()


@pytest.fixture
def supervisord() -> Iterator[Supervisord]:
    """A supervisord that is not started yet; write to its `conf_d`, then `start()`."""
    daemon = Supervisord()
    yield daemon
    daemon.close()


@pytest.fixture
def function(request: pytest.FixtureRequest) -> str:
    """A function name that no other test uses."""
    return f"test.{os.getpid()}.{request.node.name}".replace("[", ".").replace("]", "")[:200]
