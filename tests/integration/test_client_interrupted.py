"""A signal's exception (Ctrl-C, a time limit) in the middle of a client's write."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gearfleet.gearman import GearmanClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from tests.support.job_servers import JobServer

#: More than the buffers of the kernel take while the job server is stopped.
BIG = b"x" * 24 * 1024 * 1024


class TimeLimit(BaseException):
    """As libraries raise it from a signal handler."""


def stop_now(_number: int, _frame: FrameType | None) -> None:
    raise TimeLimit


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    before = signal.signal(signal.SIGALRM, stop_now)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("many", [False, True])
def test_interrupted_write__takes_no_later_job_with_it(
    own_job_server: JobServer, function: str, many: bool
) -> None:
    client = GearmanClient([own_job_server.address])
    client.submit_job(function, b"first", background=True)
    process = own_job_server.process
    assert process is not None
    process.pause()
    jobs = [{"task": function, "data": BIG}] * 2
    with pytest.raises(TimeLimit), time_limit(0.3):
        if many:
            client.submit_multiple_jobs(jobs, background=True)
        else:
            client.submit_job(function, BIG, background=True)
    process.go_on()
    later = client.submit_job(function, b"later", background=True, poll_timeout=10)
    assert later.complete, later
    client.close()
    assert f"{function}\t2\t0\t0" in own_job_server.text("status")
