"""Debian's `gearman`, a libgearman program, as client and as worker of the embedded server."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

from gearfleet.gearman.protocol import Command
from tests.support.job_servers import INSTALL_GEARMAND, JobServer
from tests.support.peers import Peer
from tests.support.processes import Process, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

C = Command


@pytest.fixture
def gearman(embedded: JobServer) -> list[str]:
    """The command with the address of the embedded server."""
    command = shutil.which("gearman")
    if command is None:
        if os.environ.get("CI") == "true":
            pytest.fail(INSTALL_GEARMAND)
        pytest.skip(INSTALL_GEARMAND)
    return [command, "-h", "127.0.0.1", "-p", str(embedded.port)]


@pytest.fixture
def cat(
    gearman: list[str], embedded: JobServer, function: str, tmp_path: Path
) -> Iterator[Process]:
    """`gearman -w` that echoes."""
    process = Process([*gearman, "-w", "-f", function, "--", "cat"], log=tmp_path / "cat.log")
    embedded.wait_for_workers(function)
    yield process
    process.terminate()


def test_cli__client_and_worker(gearman: list[str], cat: Process, function: str) -> None:
    for text in ("hello", "", "x" * 30_000):
        done = run([*gearman, "-f", function], stdin=text)
        assert (done.returncode, done.stdout) == (0, text), done.stderr


def test_cli__client_of_our_worker(
    gearman: list[str], embedded: JobServer, function: str, tmp_path: Path
) -> None:
    with Peer(embedded) as worker:
        worker.register(function).send(C.PRE_SLEEP).sync()
        client = Process([*gearman, "-f", function, "payload"], log=tmp_path / "client.log")
        assert worker.receive().command is C.NOOP
        handle, name, _, data = worker.grab().args
        assert (name, data) == (function.encode(), b"payload")
        worker.send(C.WORK_DATA, handle, b"part,").send(C.WORK_COMPLETE, handle, b"end")
        assert client.wait() == 0
        assert client.output() == "part,end"


def test_cli__worker_of_our_client(cat: Process, embedded: JobServer, function: str) -> None:
    with Peer(embedded) as client:
        for data in (b"one", b"", b"three"):
            handle = client.submit(function, data, command=C.SUBMIT_JOB)
            received = [client.receive()]
            while received[-1].command is C.WORK_DATA:
                received.append(client.receive())
            assert received[-1].command is C.WORK_COMPLETE
            assert b"".join(packet.args[1] for packet in received) == data
            assert {packet.args[0] for packet in received} == {handle}


def test_cli__background(gearman: list[str], embedded: JobServer, function: str) -> None:
    done = run([*gearman, "-b", "-f", function, "payload"])
    assert done.returncode == 0, done.stderr
    with Peer(embedded) as worker:
        assert worker.register(function).grab().args[3] == b"payload"


def test_gearadmin__status(embedded: JobServer, gearman: list[str], function: str) -> None:
    gearadmin = shutil.which("gearadmin")
    assert gearadmin is not None
    address = ["-h", "127.0.0.1", "-p", str(embedded.port)]
    assert run([gearadmin, *address, f"--create-function={function}"]).returncode == 0
    done = run([gearadmin, *address, "--status"])
    assert f"{function}\t0\t0\t0\n" in done.stdout, done.stderr
