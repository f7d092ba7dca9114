"""Payloads as they travel: what arrives, and whose jobs are not taken."""

from __future__ import annotations

import hashlib
import hmac
import json
import pickle
import subprocess
import sys
import zlib
from typing import TYPE_CHECKING, Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gearfleet.config import Settings
from gearfleet.errors import (
    BadSignature,
    ConfigError,
    PayloadDecodeError,
    PayloadEncodeError,
)
from gearfleet.tasks.codecs import CODEC_NAMES, CodecName
from gearfleet.tasks.meta import Meta, _read_any, read_meta
from gearfleet.tasks.packing import Packing, Terms
from gearfleet.tasks.payload import Call, _to_json
from gearfleet.tasks.signing import Keyring

if TYPE_CHECKING:
    from collections.abc import Callable

OLD, NEW, OTHER = "an old secret of ours", "a new secret of ours", "somebody's secret"
FUNCTION = "shop.resize"
ID = "0" * 32
META = Meta(id=ID, attempt=2, enqueued_at=1.5, waits=True, expires=2.5, group="g", chain=({},))

PLAIN = Packing()
KEYED = Packing(Keyring([NEW, OLD]))
#: Arguments that each codec carries.
ARGUMENTS: dict[CodecName, tuple[Any, ...]] = {
    "envelope": (1, "ä", b"\0\n"),
    "json": ({"$t": "decimal", "n": [1, None, True, 1.5, "ä\n"]},),
    "raw": (b"\0\n\xff gearfleet/1 ",),
    "pickle": (1j, range(3)),
}
every_codec = pytest.mark.parametrize("codec", CODEC_NAMES)


def terms(codec: CodecName = "envelope", *, signed: bool | None = None) -> Terms:
    return Terms(FUNCTION, codec, signed)


def call_of(*args: Any, meta: Meta | None = META, **kwargs: Any) -> Call:
    return Call(args, kwargs, meta)


def test_codecs__are_those_of_the_type() -> None:
    assert set(CODEC_NAMES) == set(get_args(CodecName)) == set(ARGUMENTS)


@every_codec
@pytest.mark.parametrize("compress_above", [0, 1])
def test_signed__arrives_equal(codec: CodecName, compress_above: int) -> None:
    packing = Packing(Keyring([NEW]), compress_above=compress_above)
    call = call_of(*ARGUMENTS[codec])
    data = packing.pack(call, terms(codec))
    assert KEYED.unpack(data, terms(codec)) == call
    assert (b"+zlib " in data.partition(b"\n")[0]) is bool(compress_above)


@pytest.mark.parametrize("codec", ["envelope", "json", "raw"])
@pytest.mark.parametrize("compress_above", [0, 1])
def test_unsigned__arrives_equal_where_there_is_no_key(
    codec: CodecName, compress_above: int
) -> None:
    packing = Packing(compress_above=compress_above)
    call = call_of(*ARGUMENTS[codec])
    assert PLAIN.unpack(packing.pack(call, terms(codec)), terms(codec)) == call


def test_unsigned_envelope__is_plain_json() -> None:
    assert PLAIN.pack(call_of(1, meta=None), terms()) == b'{"v":1,"args":[1],"kwargs":{}}'


arguments = st.lists(st.one_of(st.integers(), st.text(), st.binary(), st.none()), max_size=3)


@given(arguments, st.dictionaries(st.text(max_size=3), st.floats(allow_nan=False), max_size=2))
@settings(deadline=None, max_examples=50)
def test_signed__whatever_is_accepted_arrives_equal(
    args: list[Any], kwargs: dict[str, Any]
) -> None:
    for codec in ("envelope", "pickle"):
        try:
            data = KEYED.pack(Call(args, kwargs, META), terms(codec))
        except PayloadEncodeError as error:
            assert "surrogate" in str(error)
        else:
            assert KEYED.unpack(data, terms(codec)) == (tuple(args), kwargs, META)


@every_codec
@given(position=st.integers(0, 10**6), bit=st.integers(0, 7))
@settings(deadline=None, max_examples=100)
def test_signed__no_changed_bit_is_taken(codec: CodecName, position: int, bit: int) -> None:
    data = bytearray(KEYED.pack(call_of(*ARGUMENTS[codec]), terms(codec)))
    data[position % len(data)] ^= 1 << bit
    with pytest.raises(PayloadDecodeError):
        KEYED.unpack(bytes(data), terms(codec))


@given(st.binary())
@settings(deadline=None)
def test_unpack__anything_is_read_or_refused(noise: bytes) -> None:
    for codec in CODEC_NAMES:
        for data in (
            noise,
            b"gearfleet/1 " + noise,
            b"gearfleet/1 %s+zlib - {}\n" % codec.encode(),
        ):
            for packing in (PLAIN, KEYED):
                try:
                    packing.unpack(data, terms(codec))
                except PayloadDecodeError as error:
                    assert len(str(error)) < 600


# The way of nearly all payloads, beside the way that reads any


def seen(read: Callable[[bytes, Terms], Call], data: bytes, wanted: Terms) -> str:
    """Return what is read, or why nothing is."""
    try:
        return repr(read(data, wanted))
    except PayloadDecodeError as error:
        return f"{type(error).__name__}: {error}"


def signed_by_us(body: bytes, *, function: str = FUNCTION) -> bytes:
    seal = Keyring([OLD]).seal(b"gearfleet/1 envelope %s \n" % function.encode())
    signature = seal.sign(body)
    return b"gearfleet/1 envelope " + signature + b"\n" + body


@pytest.mark.parametrize("rest", [b"", b"{}", bytes(300)])
def test_signature__is_the_hmac_of_the_whole(rest: bytes) -> None:
    key = hmac.digest(NEW.encode(), b"gearfleet payload", "sha256")
    expected = hmac.digest(key, b"start " + rest, "sha256").hex().encode()
    assert Keyring([NEW]).seal(b"start ").sign(rest) == expected


def assert_both_ways_agree(data: bytes) -> None:
    for packing in (KEYED, PLAIN, Packing(Keyring([NEW, OLD]), max_bytes=100)):
        for wanted in (terms(), terms("raw"), terms(signed=True), terms(signed=False)):
            assert seen(packing.unpack, data, wanted) == seen(packing._unpack_any, data, wanted)


def test_usual_way__is_taken_by_what_our_clients_send(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KEYED, "_unpack_any", None)
    for packing in (KEYED, Packing(Keyring([OLD]))):
        assert KEYED.unpack(packing.pack(call_of(1), terms()), terms()).args == (1,)


def test_usual_way__every_changed_bit_is_refused_as_the_other_way_refuses_it() -> None:
    data = KEYED.pack(call_of("ä\n"), terms())
    for position in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[position] ^= 1 << bit
            refused = seen(KEYED.unpack, bytes(changed), terms())
            assert refused == seen(KEYED._unpack_any, bytes(changed), terms())
            assert "Error: " in refused or "BadSignature: " in refused


def test_usual_way__every_beginning_of_a_payload_is_refused_likewise() -> None:
    data = KEYED.pack(call_of(1), terms())
    for end in range(len(data)):
        assert_both_ways_agree(data[:end])
    assert_both_ways_agree(data)


@given(st.binary(max_size=200), st.binary(min_size=60, max_size=70))
@settings(deadline=None)
def test_usual_way__agrees_with_the_other_about_anything(noise: bytes, signature: bytes) -> None:
    assert_both_ways_agree(noise)
    assert_both_ways_agree(b"gearfleet/1 envelope " + noise)
    assert_both_ways_agree(b"gearfleet/1 envelope " + signature + b"\n" + noise)
    assert_both_ways_agree(signed_by_us(noise))
    assert_both_ways_agree(signed_by_us(noise, function="shop.another"))


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
#: What a meta may say, and now and then something else, or in another type.
metas = st.one_of(
    st.fixed_dictionaries(
        {"id": st.just(ID) | json_values, "enqueued_at": st.floats() | json_values},
        optional={"chain": json_values, "waits": json_values, "of the next version": json_values},
    ),
    json_values,
    st.tuples(json_values),
)


def meta_seen(read: Callable[[Any], Meta], table: Any) -> str:
    try:
        return repr(read(table))
    except PayloadDecodeError as error:
        return str(error)


@given(metas)
@settings(deadline=None)
def test_meta__is_read_in_the_same_way_by_both(table: Any) -> None:
    assert meta_seen(read_meta, table) == meta_seen(_read_any, table)


ids = st.text(st.sampled_from("0f"), max_size=4) | st.text(max_size=3)


@given(ids, st.sampled_from([1, 2]), st.floats() | st.integers(), st.booleans(), ids)
def test_meta__is_told_in_the_same_words_by_both(
    job: str, attempt: int, moment: float, waits: bool, group: str
) -> None:
    for meta in (Meta(job, attempt, moment), Meta(job, attempt, moment, waits, group=group)):
        usual = json.dumps(meta.told(), separators=(",", ":"))
        assert meta.brief() in {"", usual}
    assert Meta("0f", 1, 1.5).brief() == '{"id":"0f","enqueued_at":1.5}'


@given(json_values)
def test_encoder__writes_what_the_library_writes(value: Any) -> None:
    encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    try:
        wanted = encoder.encode(value)
    except ValueError:
        with pytest.raises(ValueError, match="JSON compliant"):
            _to_json(value)
    else:
        assert _to_json(value) == wanted


# Forged, stripped, aimed elsewhere


@every_codec
def test_forged__with_another_key(codec: CodecName) -> None:
    data = Packing(Keyring([OTHER])).pack(call_of(*ARGUMENTS[codec]), terms(codec))
    with pytest.raises(BadSignature, match=r"does not fit .*: its client has other"):
        KEYED.unpack(data, terms(codec))


@every_codec
def test_stripped__of_its_signature(codec: CodecName) -> None:
    header, _, body = KEYED.pack(call_of(*ARGUMENTS[codec]), terms(codec)).partition(b"\n")
    fields = header.split(b" ")
    unsigned = b" ".join([*fields[:2], b"-", *fields[3:]]) + b"\n" + body
    for data in (unsigned, body):
        with pytest.raises(BadSignature, match="not signed"):
            KEYED.unpack(data, terms(codec))


def test_aimed_at_another_function() -> None:
    data = KEYED.pack(call_of(1), terms())
    with pytest.raises(BadSignature):
        KEYED.unpack(data, Terms("shop.delete_everything"))


def test_read_as_another_codec() -> None:
    data = KEYED.pack(call_of(pickle.dumps(1)), terms("raw"))
    with pytest.raises(PayloadDecodeError, match=r"written as 'raw', and .* reads 'pickle'"):
        KEYED.unpack(data, terms("pickle"))
    renamed = data.replace(b"gearfleet/1 raw ", b"gearfleet/1 pickle ", 1)
    with pytest.raises(BadSignature):
        KEYED.unpack(renamed, terms("pickle"))


def test_meta__moved_from_one_job_to_another() -> None:
    first, second = (
        KEYED.pack(call_of(b"x", meta=META._replace(id=str(n) * 32)), terms("raw")) for n in (1, 2)
    )
    signature = first.split(b" ", 3)[2]
    fields = second.split(b" ", 3)
    with pytest.raises(BadSignature):
        KEYED.unpack(b" ".join([*fields[:2], signature, fields[3]]), terms("raw"))


def test_signature__is_verified_before_anything_is_unpacked() -> None:
    bomb = zlib.compress(b"x" * 1000)
    with pytest.raises(BadSignature):
        KEYED.unpack(b"gearfleet/1 envelope+zlib " + b"0" * 64 + b"\n" + bomb, terms())
    with pytest.raises(BadSignature):
        KEYED.unpack(b"gearfleet/1 envelope " + b"0" * 64 + b"\nno JSON", terms())


# Keys


def test_keys__change_without_a_job_being_refused() -> None:
    """First the new one verifies everywhere, then it signs, then the old one goes."""
    clients, workers = [[OLD], [OLD, NEW], [NEW, OLD], [NEW]], [[OLD, NEW], [NEW, OLD]]
    for secrets in clients:
        data = Packing(Keyring(secrets)).pack(call_of(1), terms())
        for verifying in workers:
            assert Packing(Keyring(verifying)).unpack(data, terms()).args == (1,)
    data = Packing(Keyring([OLD])).pack(call_of(1), terms())
    with pytest.raises(BadSignature):
        Packing(Keyring([NEW])).unpack(data, terms())


def test_signature__is_what_the_reference_says() -> None:
    """A program in another language computes it like this."""
    key = hmac.new(NEW.encode(), b"gearfleet payload", hashlib.sha256).digest()
    body = b'{"v":1,"args":[1],"kwargs":{}}'
    covered = b"gearfleet/1 envelope shop.resize \n" + body
    signature = hmac.new(key, covered, hashlib.sha256).hexdigest().encode()
    assert KEYED.pack(call_of(1, meta=None), terms()) == (
        b"gearfleet/1 envelope " + signature + b"\n" + body
    )


def test_settings__give_keys_and_limits() -> None:
    packing = Packing.of(Settings(signing_keys=(NEW,), compress_above=10, max_payload_bytes=100))
    limit = len('{"v":1,"args":[""],"kwargs":{}}')
    data = packing.pack(call_of("x" * (100 - limit), meta=None), terms())
    assert data.startswith(b"gearfleet/1 envelope+zlib ")
    assert packing.unpack(data, terms()).args == ("x" * (100 - limit),)
    with pytest.raises(PayloadEncodeError, match="'max_payload_bytes' allows 100; put the data"):
        packing.pack(call_of("x" * 100), terms())


def test_settings__keep_their_secrets_to_themselves() -> None:
    assert NEW not in repr(Settings(signing_keys=(NEW,)))


# Tasks that say otherwise


@pytest.mark.parametrize("codec", ["envelope", "json", "raw"])
def test_open_task__takes_everybodys_arguments_and_no_meta(codec: CodecName) -> None:
    """What follows a job, and under whose id it is remembered, is for the trusted to say."""
    open_to_all = terms(codec, signed=False)
    for client in (PLAIN, Packing(Keyring([OTHER])), Packing(Keyring([OTHER]), compress_above=1)):
        call = KEYED.unpack(client.pack(call_of(*ARGUMENTS[codec]), terms(codec)), open_to_all)
        assert call == (ARGUMENTS[codec], {}, None)
    ours = KEYED.pack(call_of(*ARGUMENTS[codec]), terms(codec))
    assert KEYED.unpack(ours, open_to_all).meta == META


@pytest.mark.parametrize("wanted", [terms("pickle"), terms(signed=True), terms("raw", signed=True)])
def test_task_that_needs_a_key__where_there_is_none(wanted: Terms) -> None:
    with pytest.raises(ConfigError, match=r"has to be signed.*: set 'signing_keys'"):
        PLAIN.pack(call_of(b"x"), wanted)
    data = KEYED.pack(call_of(b"x"), wanted)
    with pytest.raises(BadSignature, match="no key to verify one with: set 'signing_keys'"):
        PLAIN.unpack(data, wanted)
    with pytest.raises(ConfigError):
        PLAIN.refuse_without_key(wanted)
    KEYED.refuse_without_key(wanted)


class Trap:
    """Its pickle runs code when it is read."""

    def __reduce__(self) -> Any:
        return sys.exit, ("the trap has sprung",)


@pytest.mark.parametrize("wanted", [terms("pickle"), terms(), terms(signed=False)])
@pytest.mark.parametrize("packing", [PLAIN, KEYED])
def test_pickle__is_never_read_without_our_signature(wanted: Terms, packing: Packing) -> None:
    body = pickle.dumps({"args": (Trap(),), "kwargs": {}})
    for header in (b"", b"gearfleet/1 pickle -\n", b"gearfleet/1 pickle " + b"0" * 64 + b"\n"):
        with pytest.raises(PayloadDecodeError) as caught:
            packing.unpack(header + body, wanted)
        assert "trap" not in str(caught.value)


def test_pickle__that_cannot_be_read_fails_its_job_only() -> None:
    data = KEYED.pack(call_of(Trap()), terms("pickle"))
    with pytest.raises(PayloadDecodeError, match="SystemExit: the trap has sprung"):
        KEYED.unpack(data, terms("pickle"))


def test_pickle__refuses_what_has_no_pickle() -> None:
    with pytest.raises(PayloadEncodeError, match="cannot be pickled"):
        KEYED.pack(call_of(lambda: None), terms("pickle"))


# What foreign clients send


def test_foreign__raw_bytes_are_the_argument() -> None:
    for data in (b"", b"\xff\0", b'{"args": [1]}', b'{"v":1,"args":[1],"kwargs":{}}'):
        assert PLAIN.unpack(data, terms("raw")) == ((data,), {}, None)


def test_foreign__json_is_the_argument() -> None:
    assert PLAIN.unpack(b' {"$t": "tuple", "v": []}', terms("json")) == (
        ({"$t": "tuple", "v": []},), {}, None,
    )  # fmt: skip
    assert PLAIN.unpack(b"", terms("json")) == ((), {}, None)
    for wrong in (b"{", b"NaN", b"[" * 5000, b"\xff"):
        with pytest.raises(PayloadDecodeError):
            PLAIN.unpack(wrong, terms("json"))


@pytest.mark.parametrize("codec", ["json", "raw"])
def test_client_that_knows_only_the_name__is_understood(codec: CodecName) -> None:
    """It cannot know the codec of the task, so it sends an envelope."""
    for packing in (PLAIN, KEYED):
        data = packing.pack(call_of(b"x", 2), terms())
        assert packing.unpack(data, terms(codec)) == call_of(b"x", 2)


# What the codecs refuse


@pytest.mark.parametrize(
    ("codec", "args", "why"),
    [
        ("raw", ("text",), r"args\[0\] is of type str; codec 'raw' takes bytes"),
        ("raw", (), "takes one positional argument; there are 0"),
        ("json", (1, 2), "takes one positional argument; there are 2"),
        ("json", ([{"a": (1,)}],), r"args\[0\]\[0\]\['a'\] is of type tuple"),
        ("json", ({1: 2},), r"args\[0\] is of type dict"),
        ("json", (float("nan"),), r"args\[0\] is no JSON"),
        ("json", ("\ud800",), r"args\[0\] is no JSON"),
    ],
)
def test_codec__refuses_what_would_not_arrive_equal(
    codec: CodecName, args: tuple[Any, ...], why: str
) -> None:
    with pytest.raises(PayloadEncodeError, match=why):
        PLAIN.pack(Call(args, {}), terms(codec))


@pytest.mark.parametrize(
    ("codec", "value", "data"),
    [
        ("envelope", (1,), b'{"$t":"tuple","v":[1]}'),
        ("json", {"$t": 1}, b'{"$t":1}'),
        ("raw", b"\0", b"\0"),
        ("raw", None, b""),
        ("pickle", (1,), b'{"$t":"tuple","v":[1]}'),
    ],
)
def test_result__has_the_codec_of_its_task(codec: CodecName, value: Any, data: bytes) -> None:
    assert PLAIN.result_packer(codec)(value) == data


@pytest.mark.parametrize(("codec", "value"), [("json", (1,)), ("raw", "x"), ("pickle", object())])
def test_result__that_does_not_fit_is_refused(codec: CodecName, value: Any) -> None:
    with pytest.raises(PayloadEncodeError, match="result"):
        PLAIN.result_packer(codec)(value)


# Limits


def test_size__of_calls_and_results() -> None:
    small = Packing(max_bytes=100)
    with pytest.raises(PayloadEncodeError, match="result has 102 bytes"):
        small.result_packer()("x" * 100)
    with pytest.raises(PayloadDecodeError, match="it has 101 bytes"):
        small.unpack(b" " * 101, terms())


def test_size__counts_what_is_decompressed() -> None:
    data = Packing(Keyring([NEW]), compress_above=1).pack(call_of("x" * 10_000), terms())
    assert len(data) < 500
    with pytest.raises(PayloadDecodeError, match="more bytes when it is decompressed"):
        Packing(Keyring([NEW]), max_bytes=5_000).unpack(data, terms())


def test_decompression__is_capped() -> None:
    """A quarter of a gigabyte in 256 KiB is refused without being made."""
    code = (
        "import resource, zlib\n"
        "from gearfleet.errors import PayloadDecodeError\n"
        "from gearfleet.tasks.packing import Packing, Terms\n"
        "maker = zlib.compressobj(9)\n"
        "bomb = b''.join(maker.compress(bytes(2**20)) for _ in range(256)) + maker.flush()\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "try:\n"
        "    Packing().unpack(b'gearfleet/1 envelope+zlib -\\n' + bomb, Terms('f'))\n"
        "except PayloadDecodeError:\n"
        "    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert int(done.stdout) < 150 * 1024  # KiB


@pytest.mark.parametrize("spoil", [lambda data: data[:-1], lambda data: data + b"x"])
def test_compressed__cut_or_with_more_behind_is_refused(spoil: Any) -> None:
    data = Packing(compress_above=1).pack(call_of("x" * 100), terms())
    with pytest.raises(PayloadDecodeError, match="cannot be decompressed"):
        PLAIN.unpack(spoil(data), terms())
