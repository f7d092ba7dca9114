"""The fixtures; see `gearfleet.testing`.

pytest loads this module in every project where gearfleet is installed, so
nothing is imported here before a fixture is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.gearman.server import EmbeddedServer
    from gearfleet.testing.recorder import Submitted
    from gearfleet.testing.worker import ThreadWorker


@pytest.fixture
def submitted() -> Iterator[Submitted]:
    """Record what is submitted, and run nothing; see `Submitted`."""
    from gearfleet import config
    from gearfleet.tasks import bind
    from gearfleet.testing.recorder import Submitted

    recorder = Submitted(config.current())
    with bind(recorder):
        yield recorder


@pytest.fixture
def inline_tasks() -> Iterator[Submitted]:
    """Run what is submitted at once, in the test; and record it, see `Submitted`."""
    from gearfleet import config
    from gearfleet.standins import Eager
    from gearfleet.tasks import bind
    from gearfleet.testing.recorder import Submitted

    settings = config.current()
    recorder = Submitted(settings, forward=Eager(settings))
    with bind(recorder):
        yield recorder


@pytest.fixture
def job_server() -> Iterator[EmbeddedServer]:
    """Start a job server in memory, on a free port, and let clients use it; it has an `address`."""
    from dataclasses import replace

    from gearfleet import config
    from gearfleet.client import close_default_client
    from gearfleet.gearman.server import EmbeddedServer

    with EmbeddedServer() as server:
        settings = replace(
            config.current(), servers=(server.address,), worker_servers=(), results="memory"
        )
        with config.using(settings):
            yield server
            close_default_client()


@pytest.fixture
def worker(job_server: EmbeddedServer) -> Iterator[ThreadWorker]:
    """Serve the tasks of the process from `job_server`, in a thread, until the test is over."""
    from gearfleet import config
    from gearfleet.testing.worker import ThreadWorker

    with ThreadWorker(config.current()) as serving:
        yield serving
