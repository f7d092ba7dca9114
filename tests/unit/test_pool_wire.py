"""What the processes of a pool tell each other."""

from __future__ import annotations

import pytest

from gearfleet.worker.pool import wire


def test_listen__returns_all_that_have_come() -> None:
    parent, nursery = wire.pair()
    with parent, nursery:
        for slot in range(3):
            wire.tell(parent, "fork", slot, False)
        assert wire.listen(nursery) == [("fork", (0, 0)), ("fork", (1, 0)), ("fork", (2, 0))]


def test_listen__hears_the_last_words_and_then_that_nobody_is_there() -> None:
    parent, nursery = wire.pair()
    with nursery:
        wire.tell(parent, "fork", 7, True)
        parent.close()
        assert wire.listen(nursery) == [("fork", (7, 1))]
        assert wire.listen(nursery) == []


def test_heard__ends_where_nobody_is_there() -> None:
    parent, nursery = wire.pair()
    with parent:
        wire.tell(nursery, "imported")
        nursery.close()
        found = wire.heard(parent)
        assert next(found) == ("imported", ())
        with pytest.raises(EOFError):
            next(found)
