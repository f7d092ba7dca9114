"""What the system shows of workers that run."""

from __future__ import annotations

import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.job_servers import JobServer


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer) -> Iterator[WorkerProject]:
    pytest.importorskip("setproctitle")
    made = WorkerProject(tmp_path, gearmand.address)
    made.fresh = True  # a title takes the place of the words that Python was started with
    yield made
    made.close()


def wait_for_title(pid: int, pattern: str) -> None:
    """Wait until the title of a process is one of `pattern`."""

    def is_shown() -> bool:
        title = Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0")
        return re.fullmatch(f"gearfleet: {pattern}", title) is not None

    wait_for(is_shown, f"the title {pattern!r}")


def test_title__is_that_of_the_job_with_its_seconds(project: WorkerProject) -> None:
    worker = project.start_ready("-q", "foo")
    wait_for_title(worker.pid, r"worker_foo \[foo\] idle")
    result = project.submit("wait_for", "go")
    task = re.escape(project.function("wait_for"))
    wait_for_title(worker.pid, rf"worker_foo \[foo\] {task} [2-9]s")
    worker.signal(signal.SIGTERM)
    wait_for_title(worker.pid, rf"worker_foo \[foo\] {task} \d+s \(draining\)")
    project.allow("go")
    assert result.result() == "go"
    assert worker.wait() == 0


def test_title__is_idle_again_after_the_job(project: WorkerProject) -> None:
    worker = project.start_ready("-q", "foo")
    result = project.submit("wait_for", "go")
    wait_for_title(worker.pid, rf".* {re.escape(project.function('wait_for'))} \d+s")
    project.allow("go")
    assert result.result() == "go"
    wait_for_title(worker.pid, r"worker_foo \[foo\] idle")


def test_title__of_each_process_of_a_pool(project: WorkerProject) -> None:
    pool = project.start_ready("-q", "bar", "--processes", "2")
    wait_for_title(pool.pid, "worker_foo pool of 2")

    def titles() -> list[str]:
        workers = psutil.Process(pool.pid).children(recursive=True)
        return [Path(f"/proc/{each.pid}/cmdline").read_text() for each in workers]

    wait_for(lambda: sum("worker_foo [bar]" in title for title in titles()) == 2, "two titles")
