"""How many processes may be away at the same time, and which ones may go next."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence

    from gearfleet.supervisor.processes import Process


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxUnavailable:
    """How many processes of a group may be away at the same time: a number, or a share of it."""

    count: int = 0
    percent: int = 0

    @classmethod
    def parse(cls, text: str) -> MaxUnavailable:
        """Accept `3` and `25%`.

        Raises:
            UsageError: It is neither, or nothing could ever be restarted.
        """
        match = re.fullmatch(r"0*([1-9][0-9]{0,5})(%?)", text.strip())
        if match is None or (match[2] and int(match[1]) > 100):
            raise UsageError(f"--max-unavailable is a number from 1, or 1% to 100%, not '{text}'")
        return cls(percent=int(match[1])) if match[2] else cls(count=int(match[1]))

    def of(self, total: int) -> int:
        """Return the number for a group of `total`; a share is rounded down, but 1 at least."""
        return self.count or max(1, total * self.percent // 100)

    def __str__(self) -> str:
        return str(self.count) if self.count else f"{self.percent}%"


#: One of up to seven processes, a quarter of more.
DEFAULT_MAX_UNAVAILABLE = MaxUnavailable(percent=25)


def singles(members: Iterable[Process]) -> frozenset[str]:
    """Return the programs that have just one process."""
    sizes = Counter(process.program for process in members)
    return frozenset(program for program, size in sizes.items() if size == 1)


def next_wave(
    members: Sequence[Process],
    *,
    todo: Iterable[str],
    away: Container[str],
    wave: int,
    pools: Container[str] = frozenset(),
) -> list[Process]:
    """Return those of `todo` that may go now.

    Args:
        members: every process of the group; one that is not RUNNING is away.
        todo: the names to choose from, the first ones first.
        away: names that are away although they may be RUNNING: not yet registered.
        wave: the most that may be away.
        pools: names of those that serve on while they are renewed.
    """
    up = {p.namespec: p for p in members if p.is_running and p.namespec not in away}
    left = Counter(process.program for process in up.values())
    alone = singles(members)
    spare = wave - (len(members) - len(up))
    chosen: list[Process] = []
    for process in (up[name] for name in todo if name in up):
        if len(chosen) >= spare:
            break
        if process.namespec in pools:
            chosen.append(process)
        elif process.program in alone or left[process.program] > 1:
            left[process.program] -= 1
            chosen.append(process)
    return chosen


def blockage(members: Sequence[Process], *, todo: Iterable[str], wave: int) -> str:
    """Say why none of `todo` may go although nothing is under way."""
    down = [process.namespec for process in members if not process.is_running]
    if len(down) >= wave:
        return (
            f"{len(down)} of {len(members)} processes are down ({', '.join(down)}) and at most "
            f"{wave} may be; start them, or allow more with --max-unavailable {len(down) + 1}"
        )
    return (
        f"{', '.join(todo)}: the last running process of its program is not taken down; "
        f"start the others first ({', '.join(down)})"
    )
