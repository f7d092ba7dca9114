"""Which job server a named job belongs to."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from gearfleet.gearman.rendezvous import by_preference

SERVERS = [f"queue{number}.example:4730" for number in range(4)]


def order(servers: list[str], unique: bytes, function: bytes = b"f") -> list[str]:
    return by_preference(servers, function, unique, name=str)


@given(st.permutations(SERVERS), st.binary(max_size=63))
def test_preference__is_the_same_for_every_order_of_the_list(
    servers: list[str], unique: bytes
) -> None:
    assert order(servers, unique) == order(SERVERS, unique)


@given(st.sampled_from(SERVERS), st.binary(max_size=63))
def test_preference__without_a_server_only_its_own_jobs_move(gone: str, unique: bytes) -> None:
    rest = [server for server in SERVERS if server != gone]
    assert order(rest, unique) == [server for server in order(SERVERS, unique) if server != gone]


def test_preference__spreads_the_jobs() -> None:
    firsts = Counter(order(SERVERS, b"%d" % number)[0] for number in range(4000))
    assert all(800 < firsts[server] < 1200 for server in SERVERS)


def test_preference__tells_function_and_unique_apart() -> None:
    pairs = [(b"f", b"1"), (b"f1", b""), (b"g", b"1")]
    orders = {
        tuple(order(SERVERS, unique + b"%d" % n, function))
        for n in range(9)
        for function, unique in pairs
    }
    assert len(orders) > 5


def test_preference__stays_as_it_is_between_versions() -> None:
    # Clients of two versions of gearfleet submit at the same time during an upgrade.
    assert [order(SERVERS, b"%d" % number)[0][5] for number in range(12)] == list("112113123330")
