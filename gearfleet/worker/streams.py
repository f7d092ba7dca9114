"""Standard output and error, which a task may close without meaning the worker's.

The next file or connection that is opened would take their number, and with it our log.
"""

from __future__ import annotations

import os
from contextlib import suppress


class Streams:
    """Copies of both, from which what a task has closed is opened again."""

    def __init__(self) -> None:
        """Copy what is there now; what is not is opened as one that loses everything."""
        self._copies = {number: _copy(number) for number in (1, 2)}

    def mend(self) -> None:
        """Open what has been closed; call it after each job."""
        try:
            os.get_inheritable(1)  # the cheapest question that a closed one refuses
            os.get_inheritable(2)
        except OSError:
            self._open_again()

    def _open_again(self) -> None:
        for number, copy in self._copies.items():
            try:
                os.get_inheritable(number)
            except OSError:
                with suppress(OSError):  # the copy is closed as well: somebody closes everything
                    os.dup2(copy, number)

    def close(self) -> None:
        """Close the copies."""
        for copy in self._copies.values():
            with suppress(OSError):
                os.close(copy)


def _copy(number: int) -> int:
    try:
        return os.dup(number)
    except OSError:
        return os.open(os.devnull, os.O_WRONLY)
