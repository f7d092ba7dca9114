"""Addresses, back-off, admin replies, jobs, and the names that the package exports."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearfleet import gearman
from gearfleet.errors import LocalProtocolError, ServerError, ServerUnavailable
from gearfleet.gearman import Address, GearmanAdminClient, GearmanClient, GearmanWorker
from gearfleet.gearman.addresses import parse_all
from gearfleet.gearman.backoff import Backoff
from gearfleet.gearman.text import (
    FunctionStatus,
    Version,
    WorkerStatus,
    parse_ok,
    parse_status,
    parse_version,
    parse_workers,
)
from gearfleet.gearman.tls import TLS
from gearfleet.gearman.worker import _takes_worker


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("queue", "queue:4730"),
        ("queue:1", "queue:1"),
        (" 10.0.0.1:65535 ", "10.0.0.1:65535"),
        ("[::1]:4731", "[::1]:4731"),
        ("[fe80::1%eth0]", "[fe80::1%eth0]:4730"),
        ("::1", "[::1]:4730"),
        (("queue", 7), "queue:7"),
        (("::1", "7"), "[::1]:7"),
        (Address("queue", 3), "queue:3"),
        ({"host": "queue", "port": "3"}, "queue:3"),
        ({"host": "queue"}, "queue:4730"),
    ],
)
def test_address__forms(value: Any, text: str) -> None:
    assert str(Address.parse(value)) == text


@pytest.mark.parametrize(
    "value",
    ["", ":4730", "a:", "a:x", "a:0", "a:65536", "a:-1", "[::1", "[::1]x", "a b:1", "a:１", ("a",), 5, None, ("a", None), {"host": 5}, {"port": 1}, {"host": "a", "prt": 1}, {"host": "a", "port": "x"}],
)  # fmt: skip
def test_address__bad_forms_are_named(value: Any) -> None:
    with pytest.raises(LocalProtocolError, match="host"):
        Address.parse(value)


def test_address__dict_with_tls_files() -> None:
    files = {"keyfile": "k", "certfile": Path("c"), "ca_certs": "a"}
    address = Address.parse({"host": "queue", "port": 4731, **files})
    assert address.tls == TLS(keyfile="k", certfile="c", ca_certs="a")
    with pytest.raises(LocalProtocolError, match="Cannot read the TLS file a"):
        parse_all({"host": "queue", "port": 4731, **files})
    with pytest.raises(LocalProtocolError, match="No keyfile and no certfile for TLS"):
        Address.parse({"host": "queue", "port": 4731, "ca_certs": "a"})


def test_address__url_with_tls() -> None:
    assert Address.parse("tls://queue") == Address("queue", tls=TLS())
    address = Address.parse("tls://[::1]:4731?ca_certs=/etc/my%20ca.pem&server_hostname=queue")
    assert address == Address("::1", 4731, TLS(ca_certs="/etc/my ca.pem", server_hostname="queue"))
    # The text of a TLS address never means one without TLS.
    assert Address.parse(str(address)) == Address("::1", 4731, TLS())


@pytest.mark.parametrize(
    "text",
    ["tcp://queue", "tls://", "tls://q/path", "tls://q?ca=x", "tls://q?ca_certs=", "tls://me@q"],
)
def test_address__url_that_is_none(text: str) -> None:
    with pytest.raises(LocalProtocolError, match="job server address"):
        Address.parse(text)


def test_addresses__one_or_many_each_once() -> None:
    assert parse_all("queue") == (Address("queue"),)
    assert parse_all(["a", ("a", 4730), "b"]) == (Address("a"), Address("b"))
    assert parse_all(None) == ()


def test_backoff__doubles_up_to_the_longest_with_full_jitter() -> None:
    highest = Backoff(draw=lambda low, high: high)
    assert [highest.failed() for _ in range(10)] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 30.0]  # fmt: skip
    assert Backoff(draw=lambda low, high: low).failed() == 0.1
    highest.succeeded()
    assert (highest.failed(), highest.failures) == (0.1, 1)


def test_status__sorted_and_unreadable_lines_left_out() -> None:
    rows = parse_status([b"b\t3\t1\t2", b"garbage", b"a\tx\t1\t2", b"with\ttab\t1\t0\t0"])
    assert rows == (
        FunctionStatus(function="b", total=3, running=1, workers=2),
        FunctionStatus(function="with\ttab", total=1, running=0, workers=0),
    )
    assert rows[0].waiting == 2


@pytest.mark.parametrize(
    ("line", "client_id", "functions"),
    [
        (b"36 127.0.0.1 - :", "-", ()),
        (b"36 127.0.0.1 - : f g", "-", ("f", "g")),
        (b"36 ::1 an id : with : colons : f", "an id : with : colons", ("f",)),
        (b"36 ::1 an id with spaces :", "an id with spaces", ()),
    ],
)
def test_workers__ids_with_spaces_do_no_harm(
    line: bytes, client_id: str, functions: tuple[str, ...]
) -> None:
    (row,) = parse_workers([b"second half of a broken id : f", line, b""])
    assert row == WorkerStatus(
        file_descriptor=36, ip=row.ip, client_id=client_id, functions=functions
    )


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_replies__any_line_is_read_or_left_out(lines: list[bytes]) -> None:
    parse_status(lines)
    parse_workers(lines)


def test_version__numbers_and_suffix() -> None:
    assert parse_version(b"OK 1.1.20+ds") == Version(text="1.1.20+ds")
    assert parse_version(b"OK 1.1.20+ds").numbers == (1, 1, 20)
    assert Version(text="unknown").numbers == ()


def test_err__is_the_servers_error() -> None:
    with pytest.raises(ServerError, match="UNKNOWN_COMMAND: Unknown server commandx"):
        parse_ok(b"ERR UNKNOWN_COMMAND Unknown+server+commandx")


def _two(worker: Any, job: Any) -> None: ...
def _one(job: Any) -> None: ...
def _one_and_default(job: Any, extra: int = 1) -> None: ...
def _any(*args: Any) -> None: ...


class _Callable:
    def __call__(self, worker: Any, job: Any) -> None: ...

    def method(self, job: Any) -> None: ...


@pytest.mark.parametrize(
    ("callback", "takes_worker"),
    [(_two, True), (_one, False), (_one_and_default, False), (_any, True), (_Callable(), True), (_Callable().method, False)],
)  # fmt: skip
def test_callback__one_or_two_parameters(callback: Any, takes_worker: bool) -> None:
    assert _takes_worker(callback) is takes_worker


def test_worker__refuses_what_would_break_the_text_protocol() -> None:
    worker = GearmanWorker()
    with pytest.raises(LocalProtocolError, match="white space"):
        worker.set_client_id("my worker")
    with pytest.raises(LocalProtocolError, match="function name"):
        worker.register_task("my task", len)
    with pytest.raises(LocalProtocolError, match="prefetch is 0"):
        GearmanWorker(prefetch=0)


def test_worker__without_job_servers_does_not_wait_for_ever() -> None:
    with pytest.raises(ServerUnavailable, match="no job server"):
        GearmanWorker([]).work()


def test_admin_client__wants_exactly_one_address() -> None:
    with pytest.raises(LocalProtocolError, match="exactly one"):
        GearmanAdminClient(["a", "b"])


def test_client__refuses_before_it_connects() -> None:
    client = GearmanClient(["127.0.0.1:1"])
    with pytest.raises(TypeError, match=r"str: encode it first"):
        client.submit_job("f", "text")
    with pytest.raises(LocalProtocolError, match="empty payload"):
        client.submit_job("f", b"", background=True)
    with pytest.raises(LocalProtocolError, match="63 are allowed"):
        client.submit_job("f", b"x", unique="u" * 64)
    with pytest.raises(LocalProtocolError, match="Priority 'high'"):
        client.submit_job("f", b"x", priority="high")
    with pytest.raises(TypeError, match="list of dicts"):
        client.submit_multiple_jobs("f")  # type: ignore[arg-type]


def test_exports__are_exact() -> None:
    assert list(gearman.__all__) == _isort(gearman.__all__)
    tree = ast.parse(Path(inspect.getfile(gearman)).read_text(encoding="utf-8"))
    imported = [
        alias.asname or alias.name
        for node in ast.walk(tree)  # those of type checkers are imported late
        if isinstance(node, ast.ImportFrom) and node.module not in {"typing", "gearfleet._late"}
        for alias in node.names
    ]
    assert sorted(imported) == sorted(gearman.__all__)
    assert all(hasattr(gearman, name) for name in gearman.__all__)


def _isort(names: list[str]) -> list[str]:
    """Constants, then classes, then the rest, as the linter sorts them."""
    return sorted(names, key=lambda name: (not name.isupper(), name))
