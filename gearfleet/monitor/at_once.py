"""Several questions at the same time, of which whoever wants to end waits for none."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


def at_once(calls: Sequence[Callable[[], T]]) -> list[T]:
    """Return what `calls` return, in their order; raise what the first of them has raised.

    Each has a daemon thread: Python waits, when it ends, for those of its own pools, and so
    for a job server that does not answer.
    """
    results: dict[int, T] = {}
    errors: dict[int, BaseException] = {}

    def make(number: int, call: Callable[[], T]) -> None:
        try:
            results[number] = call()
        except BaseException as error:
            errors[number] = error

    threads = [threading.Thread(target=make, args=each, daemon=True) for each in enumerate(calls)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number in sorted(errors):
        raise errors[number]
    return [results[number] for number in range(len(calls))]
