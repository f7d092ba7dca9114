"""Data on stdout, talk on stderr; the only place where gearfleet prints."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Output:
    """Where a verb says things.

    Attributes:
        json: print data as JSON.
        color: True or False decides; None leaves it to the terminal and NO_COLOR.
        verbosity: how often ``-v`` was given.
        stdout: where data goes.
        stderr: where talk goes.
    """

    json: bool = False
    color: bool | None = None
    verbosity: int = 0
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)

    def forgive(self) -> None:
        """Show what the terminal's encoding lacks as escapes, as standard error does anyway."""
        if isinstance(self.stdout, TextIOWrapper):
            self.stdout.reconfigure(errors="backslashreplace")

    def talk(self, text: str) -> None:
        """Say something to the person who watches."""
        self.stderr.write(text + "\n")
        self.stderr.flush()

    def text(self, text: str) -> None:
        """Print data as it is."""
        self.stdout.write(text)
        self.stdout.flush()

    def document(self, text: str) -> None:
        """Print the content of a file, which is UTF-8 whatever the locale says."""
        if isinstance(self.stdout, TextIOWrapper):
            self.stdout.reconfigure(encoding="utf-8")
        self.text(text)

    def raw(self, data: bytes) -> None:
        """Print bytes as they are."""
        self.stdout.buffer.write(data)
        self.stdout.flush()

    def line(self, text: str) -> None:
        """Print one line of data."""
        self.text(text + "\n")

    def data(self, value: Any) -> None:
        """Print `value` as one JSON document."""
        self.document(json.dumps(value, indent=2, ensure_ascii=False) + "\n")

    def table(self, title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        """Print a table; plain when the output is no terminal."""
        from rich.table import Table

        table = Table(title=title or None, title_justify="left")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in rows:
            table.add_row(*row)
        self.console(self.stdout).print(table)

    def console(self, stream: TextIO) -> Console:
        """Return a rich console on `stream` that respects ``--no-color`` and NO_COLOR."""
        from rich.console import Console

        class Plain(Console):
            """A console that leaves it to its caller what to do without a reader."""

            def on_broken_pipe(self) -> None:
                raise BrokenPipeError

        no_color = self.color is False or bool(os.environ.get("NO_COLOR"))
        width = None if stream.isatty() else 200
        return Plain(file=stream, no_color=no_color, width=width, markup=False, highlight=False)
