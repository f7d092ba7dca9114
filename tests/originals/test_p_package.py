"""python-gearman as a package: names, errors, logging, address forms, extension points."""

from __future__ import annotations

import logging
import re
import selectors
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import gearman
from gearfleet.gearman import errors
from gearfleet.gearman.protocol import ARGUMENTS, Command, PacketReader, encode
from tests.support import pages
from tests.support.certificates import Authority
from tests.support.processes import ROOT
from tests.support.running import running

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.job_servers import JobServer

EXPORTS = {
    *("GearmanClient", "GearmanWorker", "GearmanAdminClient", "DataEncoder"),
    *("PRIORITY_NONE", "PRIORITY_LOW", "PRIORITY_HIGH", "__version__"),
    *("JOB_UNKNOWN", "JOB_PENDING", "JOB_CREATED", "JOB_FAILED", "JOB_COMPLETE", "JOB_QUEUED"),
}


def test_p01__exports() -> None:
    assert set(gearman.__all__) >= EXPORTS
    assert gearman.JOB_QUEUED == gearman.JOB_CREATED
    assert (gearman.PRIORITY_NONE, gearman.PRIORITY_LOW, gearman.PRIORITY_HIGH) == (
        None,
        "LOW",
        "HIGH",
    )


@pytest.mark.parametrize(
    ("part", "made"),
    [
        ("package", gearman),
        ("client", gearman.GearmanClient),
        ("request", gearman.GearmanJobRequest(gearman.GearmanJob(None, None, "f", "u", b""))),
        ("job", gearman.GearmanJob),
        ("worker", gearman.GearmanWorker),
        ("admin client", gearman.GearmanAdminClient),
    ],
)
def test_p01__everything_that_the_docs_name_is_there(part: str, made: object) -> None:
    page = pages.read(ROOT / "docs" / "reference" / "gearman.md")
    (names,) = re.findall(rf"^\| {part} \| (.*) \|$", page, re.MULTILINE)
    assert [name for name in re.findall(r"`(\w+)`", names) if not hasattr(made, name)] == []


TREE = {
    *("ConnectionError", "ServerUnavailable", "ProtocolError", "UnknownCommandError"),
    *("ExceededConnectionAttempts", "InvalidClientState", "InvalidWorkerState"),
    "InvalidAdminClientState",
}


@pytest.mark.parametrize("name", sorted(TREE))
def test_p24__errors_are_where_and_what_they_were(name: str) -> None:
    assert issubclass(getattr(gearman.errors, name), errors.GearmanError)
    assert getattr(gearman, name) is getattr(gearman.errors, name)


def test_p24__what_python_gearman_raised_is_caught() -> None:
    # Its builtin-like name, its parent, and what it raised for a submit without an answer.
    assert issubclass(errors.ConnectionError, ConnectionError)
    assert issubclass(errors.UnknownCommandError, errors.ProtocolError)
    assert issubclass(errors.AmbiguousSubmit, errors.ExceededConnectionAttempts)


def test_p25__logger_of_subclasses_is_gearman_and_silent_by_default() -> None:
    logger = logging.getLogger("gearman")
    assert any(isinstance(handler, logging.NullHandler) for handler in logger.handlers)
    assert gearman.GearmanClient.log is gearman.GearmanWorker.log is logger


@pytest.mark.parametrize(
    ("hosts", "addresses"),
    [
        (["localhost"], ["localhost:4730"]),
        (["localhost:4731"], ["localhost:4731"]),
        ([("localhost", 4731)], ["localhost:4731"]),
        (["[::1]:4731"], ["[::1]:4731"]),
        ([{"host": "localhost", "port": 4731}], ["localhost:4731"]),
        (["a", ("b", 1), {"host": "c"}, "a:4730"], ["a:4730", "b:1", "c:4730"]),
        (None, []),
    ],
)
def test_p02__host_forms(hosts: Any, addresses: list[str]) -> None:
    for made in (gearman.GearmanClient(hosts), gearman.GearmanWorker(hosts)):
        assert [str(address) for address in made.addresses] == addresses


def test_p26__dict_of_five_keys(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    files = {
        "keyfile": authority.good.keyfile,
        "certfile": authority.good.certfile,
        "ca_certs": authority.ca_certs,
    }
    worker = gearman.GearmanWorker([{"host": "queue", "port": 4730, **files}])
    assert worker.addresses == (gearman.Address("queue", 4730, gearman.TLS(**files)),)
    client = gearman.GearmanClient()
    assert client.add_ssl_connection("queue", 4730, **files) == worker.addresses[0]
    for left_out in files:
        some = {key: value for key, value in files.items() if key != left_out}
        with pytest.raises(gearman.GearmanError, match=left_out):
            gearman.GearmanClient([{"host": "queue", "port": 4730, **some}])


class NamedJob(gearman.GearmanJob):
    __slots__ = ()

    @property
    def name(self) -> str:
        return f"{self.task}!"


class FussyRequest(gearman.GearmanJobRequest):
    @property
    def is_good(self) -> bool:
        return self.state == gearman.JOB_COMPLETE


class ExtendedClient(gearman.GearmanClient):
    job_class = NamedJob
    job_request_class = FussyRequest


class ExtendedWorker(gearman.GearmanWorker):
    job_class = NamedJob
    selector_class = selectors.SelectSelector


def test_p27__classes_of_jobs_requests_and_selectors(job_server: JobServer, function: str) -> None:
    worker = ExtendedWorker([job_server.address])
    worker.register_task(function, lambda job: job.name.encode())
    with running(worker), ExtendedClient([job_server.address]) as client:
        request = client.submit_job(function, b"")
    assert isinstance(request, FussyRequest)
    assert request.is_good
    assert isinstance(request.job, NamedJob)
    assert request.result == f"{function}!".encode()


def test_p27__add_connection_also_at_work(
    gearmand: JobServer, embedded: JobServer, function: str
) -> None:
    worker = gearman.GearmanWorker([gearmand.address])
    worker.register_task(function, lambda job: job.data)
    with running(worker), gearman.GearmanClient() as client:
        gearmand.wait_for_workers(function)
        address = worker.add_connection(embedded.address)
        assert client.add_connection(embedded.address) == address
        assert client.submit_job(function, b"x", poll_timeout=20).result == b"x"
        assert client.addresses == (address,)
        client.shutdown()  # as close: the next submit connects again
        assert client.submit_job(function, b"y", poll_timeout=20).result == b"y"


def test_p27__worker_hears_of_errors(job_server: JobServer, function: str) -> None:
    class Listening(gearman.GearmanWorker):
        heard: list[str] = []

        def on_gearman_error(self, error_code: str, error_text: str) -> bool:
            self.heard.append(error_code)
            return super().on_gearman_error(error_code, error_text)

        def unknown(self, job: gearman.GearmanJob) -> bytes:
            job.connection.machine.outgoing += encode(Command.OPTION_REQ, b"nonsense")
            return b""

    worker = Listening([job_server.address])
    worker.register_task(function, worker.unknown)
    with running(worker), gearman.GearmanClient([job_server.address]) as client:
        client.submit_job(function, b"x")
    assert worker.heard == ["UNKNOWN_OPTION"]


SEEN_BY_2X = {
    *("CAN_DO", "RESET_ABILITIES", "PRE_SLEEP", "SET_CLIENT_ID", "GRAB_JOB_UNIQ", "NOOP", "NO_JOB"),
    *("WORK_STATUS", "WORK_COMPLETE", "WORK_FAIL", "WORK_EXCEPTION", "WORK_DATA", "WORK_WARNING"),
    *("JOB_ASSIGN", "JOB_ASSIGN_UNIQ", "SUBMIT_JOB", "SUBMIT_JOB_BG", "SUBMIT_JOB_HIGH"),
    *("SUBMIT_JOB_HIGH_BG", "SUBMIT_JOB_LOW", "SUBMIT_JOB_LOW_BG", "GET_STATUS", "JOB_CREATED"),
    *("STATUS_RES", "ECHO_REQ", "ECHO_RES", "ERROR", "CANT_DO", "GRAB_JOB", "CAN_DO_TIMEOUT"),
    *("ALL_YOURS", "OPTION_REQ", "OPTION_RES", "SUBMIT_JOB_EPOCH", "GRAB_JOB_ALL"),
    *("JOB_ASSIGN_ALL", "GET_STATUS_UNIQUE", "STATUS_RES_UNIQUE", "SUBMIT_REDUCE_JOB"),
    *("SUBMIT_REDUCE_JOB_BACKGROUND", "SUBMIT_JOB_SCHED"),
}


@pytest.mark.parametrize("name", sorted(SEEN_BY_2X))
def test_p29__every_command_is_parsed(name: str) -> None:
    command = Command[name]
    args = [b"1"] * len(ARGUMENTS[command])
    body = b"\0".join(args)
    header = command.to_bytes(4, "big") + len(body).to_bytes(4, "big")
    for is_request in (False, True):
        reader = PacketReader(requests=is_request)
        reader.feed((b"\0REQ" if is_request else b"\0RES") + header + body)
        assert reader.next_packet() == (command, tuple(args))


@pytest.mark.parametrize(
    ("packet", "raw"),
    [
        (encode(Command.GRAB_JOB_UNIQ), b"\0REQ\0\0\0\x1e\0\0\0\0"),
        (encode(Command.CAN_DO, b"reverse"), b"\0REQ\0\0\0\x01\0\0\0\x07reverse"),
        (
            encode(Command.SUBMIT_JOB, b"reverse", b"u", b"a\0b"),
            b"\0REQ\0\0\0\x07\0\0\0\x0dreverse\0u\0a\0b",
        ),
        (encode(Command.WORK_FAIL, b"H:x:1"), b"\0REQ\0\0\0\x0e\0\0\0\x05H:x:1"),
    ],
)
def test_p31__the_same_bytes_as_2x(packet: bytes, raw: bytes) -> None:
    assert packet == raw


@pytest.mark.parametrize(
    "raw",
    [
        b"\0ABC\0\0\0\x06\0\0\0\0",  # no magic
        b"\0REQ\0\0\0\x06\0\0\0\0",  # the magic of the other side
        b"\0RES\0\0\x04\xd2\0\0\0\0",  # a command that does not exist
        b"\0RES\0\0\0\x1f\0\0\0\x05H:x:1",  # too few arguments
        b"\0RES\0\0\0\x06\xff\xff\xff\xff",  # a size that nobody can mean
    ],
)
def test_p31__malformed_packets_are_protocol_errors(raw: bytes) -> None:
    reader = PacketReader()
    with pytest.raises(errors.ProtocolError):
        reader.feed(raw)
        reader.next_packet()


def test_p31__an_incomplete_packet_is_none_yet() -> None:
    reader = PacketReader()
    for byte in b"\0RES\0\0\0\x08\0\0\0\x05H:x:":
        reader.feed(bytes([byte]))
        assert reader.next_packet() is None
    reader.feed(b"1")
    assert reader.next_packet() == (Command.JOB_CREATED, (b"H:x:1",))
