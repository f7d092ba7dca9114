"""One job server as a client sees it: what goes to another connection, and what is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.gearman import errors
from gearfleet.gearman.addresses import Address
from gearfleet.gearman.channel import Channel
from gearfleet.gearman.connection import Unwritten
from gearfleet.gearman.servers import Server

if TYPE_CHECKING:
    from collections.abc import Callable


class Broken:
    """A connection that was broken before the first byte, or in the middle."""

    is_idle = False
    lost: Exception | None = None

    def __init__(self, error: Exception) -> None:
        self.error = error

    def ask(self, *_: object) -> None:
        self.lost = self.error
        raise self.error


def submit(monkeypatch: pytest.MonkeyPatch, opened: Callable[..., Any], first: Broken) -> Channel:
    monkeypatch.setattr(Channel, "open", opened)
    server = Server(Address("127.0.0.1", 1), 1.0, 1.0, 1.0)
    server.current = first  # type: ignore[assignment]
    return server.submit(object(), b"", None)  # type: ignore[arg-type]


def test_submit__that_finds_no_other_connection_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was not submitted; who swallows that would wait for a job that nobody has."""

    def refused(*_: object, **__: object) -> Channel:
        raise errors.ConnectionError("refused")

    with pytest.raises(errors.ConnectionError, match="refused"):
        submit(monkeypatch, refused, Broken(Unwritten("closed")))


def test_submit__goes_to_one_other_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    second = Broken(Unwritten("closed again"))
    with pytest.raises(Unwritten, match="closed again"):
        submit(monkeypatch, lambda *_, **__: second, Broken(Unwritten("closed")))


def test_submit__that_has_begun_goes_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object, **__: object) -> Channel:
        raise AssertionError("it may have been submitted already")

    first = Broken(errors.ConnectionError("in the middle"))
    assert submit(monkeypatch, never, first) is first  # type: ignore[comparison-overlap]
