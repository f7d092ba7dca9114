"""Any bytes, in any pieces, from any peers: nothing is raised, nothing is lost, others are served."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gearfleet.gearman.protocol import ARGUMENTS, Command, PacketReader
from gearfleet.gearman.server.service import Limits, Service
from tests.support.wires import Wire, in_a_loop, next_turn, packet

C = Command
LIMITS = Limits(packet_bytes=1000, unread_bytes=100_000)


NAMES = st.sampled_from([b"f", b"g", b"", b"two words", b"h" * 256])
HANDLES = st.builds(b"H:host:%d".__mod__, st.integers(1, 6))
NUMBERS = st.sampled_from([b"0", b"1", b"-1", b"", b"x", b"9" * 30, b"99999999999"])
VALUES = {
    "function": NAMES,
    "handle": HANDLES,
    "unique": st.sampled_from([b"", b"-", b"u", b"v", b"u" * 64]),
    "data": st.binary(max_size=20),
    "epoch": NUMBERS,
    "timeout_ms": NUMBERS,
    "numerator": NUMBERS,
    "option": st.sampled_from([b"exceptions", b"x"]),
}
ANY_VALUE = st.binary(max_size=8)


def packets_of(command: Command) -> st.SearchStrategy[bytes]:
    values = (VALUES.get(name, ANY_VALUE) for name in ARGUMENTS[command])
    return st.tuples(*values).map(lambda args: packet(command, *args))


PACKETS = st.sampled_from(sorted(Command)).flatmap(packets_of)
LINES = st.sampled_from(
    [b"status", b"workers", b"show jobs", b"show unique jobs", b"prioritystatus", b"cancel job H:host:1",
     b"create function f", b"drop function f", b"maxqueue f 1", b"maxqueue f 9 x", b"a b c d e f", b""]
).map(lambda line: line + b"\n")  # fmt: skip
MUTATIONS = st.lists(
    st.tuples(st.integers(0, 400), st.integers(0, 3), st.binary(max_size=4)), max_size=4
)


def mutate(data: bytes, mutations: list[tuple[int, int, bytes]]) -> bytes:
    """Cut `length` bytes at each place and put others there."""
    for place, length, inserted in mutations:
        data = data[:place] + inserted + data[place + length :]
    return data


def chunks(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


def check_books(service: Service) -> None:
    """Every job stands in one place, and whoever has to do with it knows it."""
    queues = service.queues
    assert sum(function.total for function in queues.functions.values()) == len(queues.jobs)
    for handle, job in queues.jobs.items():
        assert (job.handle, job in job.place) == (handle, True)
        assert (job.worker is not None) == (job in job.function.running)
        assert job.worker is None or (job.worker in queues.peers and job in job.worker.holds)
        assert all(client in queues.peers and job in client.awaits for client in job.clients)
        assert job.is_running or not job.is_abandoned
    for function in queues.functions.values():
        assert all(queues.jobs[job.handle] is job for job in function.uniques.values())
        assert all(peer.asleep and peer in queues.peers for peer in function.sleepers)
    registered = sum(function.registrations for function in queues.functions.values())
    assert registered == sum(len(peer.abilities) for peer in queues.peers)
    for peer in queues.peers:
        assert all(job.worker is peer for job in peer.holds)
        assert all(peer in job.clients for job in peer.awaits)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 2), st.one_of(PACKETS, LINES)), max_size=30),
    MUTATIONS,
    st.integers(1, 64),
)
def test_bytes__mutated_and_split_harm_nobody_else(
    said: list[tuple[int, bytes]], mutations: list[tuple[int, int, bytes]], size: int
) -> None:
    async def story(service: Service) -> None:
        wires = [Wire(service) for _ in range(3)]
        bystander = Wire(service)
        spoken = b"".join(data for _, data in said)
        for chunk in chunks(mutate(spoken, mutations), size):
            wires[0].say(chunk)
        for who, data in said:
            wires[who].say(data)
        assert bystander.say(packet(C.ECHO_REQ, b"still here"))[-10:] == b"still here"
        check_books(service)

    in_a_loop(story, limits=LIMITS)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300), st.integers(1, 64))
def test_bytes__any_at_all(data: bytes, size: int) -> None:
    async def story(service: Service) -> None:
        wire = Wire(service)
        for chunk in chunks(data, size):
            wire.say(chunk)
        check_books(service)

    in_a_loop(story, limits=LIMITS)


LEAVE = st.just(b"")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.one_of(PACKETS, LEAVE)), max_size=60))
def test_packets__of_peers_that_come_and_go_keep_the_books_straight(
    said: list[tuple[int, bytes]],
) -> None:
    async def story(service: Service) -> None:
        wires = [Wire(service) for _ in range(4)]
        for who, data in said:
            _parse(wires[who].say(data))
            if not data or wires[who].is_closing():
                wires[who].close()
                await next_turn()
                wires[who] = Wire(service)
            check_books(service)
        for wire in wires:
            wire.close()
        await next_turn()
        assert service.queues.peers == {}
        assert all(job.background for job in service.queues.jobs.values())

    in_a_loop(story, limits=LIMITS)


def _parse(answer: bytes) -> None:
    reader = PacketReader()
    reader.feed(answer)
    list(reader.packets())
    assert reader.buffered_bytes == 0


@settings(max_examples=100, deadline=None)
@given(st.lists(PACKETS, max_size=20), st.integers(1, 64))
def test_split__any_split_gets_the_same_answer(said: list[bytes], size: int) -> None:
    async def story(service: Service) -> None:
        whole, split = b"".join(said), bytearray()
        other = Service(limits=LIMITS, host="host")
        wire = Wire(other)
        for chunk in chunks(whole, size):
            split += wire.say(chunk)
        assert bytes(split) == Wire(service).say(whole)

    in_a_loop(story, limits=LIMITS)
