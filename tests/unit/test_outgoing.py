"""What a job on its way is made of."""

from __future__ import annotations

import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gearfleet.errors import PayloadEncodeError
from gearfleet.gearman.protocol import MAX_UNIQUE_BYTES
from gearfleet.outgoing import digest_of, new_id, unique_of
from gearfleet.tasks.meta import Meta
from tests.support.processes import ROOT

BACKGROUND = Meta(id="a" * 32)
FOREGROUND = Meta(id="a" * 32, waits=True)

NESTED = {"b": {"x", "y", "z"}, "a": {(1, "x"): frozenset({Decimal(1), Decimal(2)}), 2: [None]}}


def test_unique__of_its_own_attempt() -> None:
    assert unique_of(BACKGROUND, None) == f"{'a' * 32}.1"
    assert unique_of(BACKGROUND, False) == f"{'a' * 32}.1"
    assert unique_of(BACKGROUND._replace(attempt=3), None) == f"{'a' * 32}.3"


@pytest.mark.parametrize("chosen", ["u", b"u", b"\xff", "\N{SNOWMAN}" * 20, "x" * 500, True, "-"])
def test_unique__chosen(chosen: Any) -> None:
    background, foreground = (unique_of(meta, chosen, [1]) for meta in (BACKGROUND, FOREGROUND))
    assert background != foreground
    assert background == unique_of(BACKGROUND._replace(id="other"), chosen, [1])
    assert len(background.encode("utf-8", "surrogateescape")) <= MAX_UNIQUE_BYTES


def test_unique__a_text_and_its_bytes_are_one() -> None:
    assert unique_of(BACKGROUND, "\N{SNOWMAN}") == unique_of(BACKGROUND, "\N{SNOWMAN}".encode())


def test_unique__true_is_no_name_that_somebody_may_choose() -> None:
    digest = digest_of([1], {})
    assert unique_of(BACKGROUND, True, [1]) != unique_of(BACKGROUND, digest)


def test_digest__tells_values_apart() -> None:
    different: list[tuple[list[Any], dict[str, Any]]] = [
        ([], {}), ([1], {}), (["1"], {}), ([1.0], {}), ([True], {}), ([None], {}), ([[1]], {}),
        ([(1,)], {}), ([], {"a": 1}), ([{"a": 1}], {}), ([{1, 2}], {}), ([frozenset({1, 2})], {}),
        ([[1, 2]], {}), ([[2, 1]], {}), ([Decimal(1)], {}), ([b"1"], {}), ([1, 1], {}),
        ([float("nan")], {}), ([-0.0], {}), ([0.0], {}),
    ]  # fmt: skip
    assert len({digest_of(*call) for call in different}) == len(different)


@given(st.dictionaries(st.text(), st.integers()), st.sets(st.text()))
def test_digest__no_order_is_left_to_chance(table: dict[str, int], words: set[str]) -> None:
    turned = dict(reversed(table.items()))
    assert digest_of([table, words], {}) == digest_of([turned, {*words}], {})


def test_digest__is_the_same_in_every_process() -> None:
    code = (
        "from decimal import Decimal; from gearfleet.outgoing import digest_of; "
        f"print(digest_of([{NESTED!r}], {{}}))"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            cwd=ROOT,
            env={"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2", "3")
    }
    assert told == {digest_of([NESTED], {})}


def test_digest__of_what_the_envelope_does_not_carry() -> None:
    with pytest.raises(PayloadEncodeError, match="unique=True needs arguments"):
        digest_of([object()], {})


def test_ids__are_fresh_in_every_process() -> None:
    ids = {new_id() for _ in range(1000)}
    read, write = os.pipe()
    if os.fork() == 0:  # pragma: no cover
        os.write(write, new_id().encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as told:
        ids.add(told.read())
    ids.add(new_id())
    assert len(ids) == 1002
    assert all(len(one) == 32 and int(one, 16) for one in ids)
