"""The slots of a pool: who has each, and when an empty one is filled again; no I/O here."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING

from gearfleet.errors import EXIT_CONFIG, EXIT_IMPORT, EXIT_RECYCLED, EXIT_USAGE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

#: Seconds before a slot is filled again, by the number of deaths in a row.
DELAYS = (0.0, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
#: Who has lived for so many seconds has shown that the slot is well.
LIVED_WELL = 60.0

#: Who has not said within so many seconds that it was born has died before it could.
BIRTH = 30.0

#: What a restart cannot cure, as the exit codes say.
INCURABLE = frozenset({EXIT_USAGE, EXIT_IMPORT, EXIT_CONFIG})


@dataclass(slots=True, eq=False, kw_only=True)
class Worker:
    """One worker that lives.

    Attributes:
        pid: of the process.
        slot: that it was forked for.
        generation: of the code that it has.
        born_at: on the parent's clock.
        is_up: whether it takes its signals; before, only TERM is safe to send.
        is_serving: whether a job server knows it.
        stops: how often it was told to stop.
        kill_at: when patience ends.
    """

    pid: int
    slot: int
    generation: int
    born_at: float
    is_up: bool = False
    is_serving: bool = False
    stops: int = 0
    kill_at: float = inf


@dataclass(slots=True, eq=False)
class Slot:
    """The place of one worker.

    Attributes:
        number: from 0.
        worker: who has it.
        successor: who takes it when a job server knows them.
        is_ordered: whether a nursery was told to fork for it.
        ordered_at: when it was.
        is_quiet: whether that worker was to take no jobs at first.
        failures: deaths in a row.
        due_at: before then nobody is forked for it.
        incurable: exit code of a worker that never served; 0 for none.
    """

    number: int
    worker: Worker | None = None
    successor: Worker | None = None
    is_ordered: bool = False
    ordered_at: float = 0.0
    is_quiet: bool = False
    failures: int = 0
    due_at: float = 0.0
    incurable: int = 0

    def wants(self, generation: int, now: float) -> bool:
        """Return whether to fork for this slot, leaving aside how many may be replaced."""
        if self.is_ordered or self.successor or now < self.due_at:
            return False
        return self.worker is None or self.worker.generation != generation

    def take(self, worker: Worker) -> bool:
        """Give the newborn its place; False if there is none for it."""
        if self.worker is None:
            self.worker = worker
        elif self.successor is None and self.worker.generation != worker.generation:
            self.successor = worker
        else:
            return False
        self.is_ordered = False
        return True

    def serve(self, worker: Worker) -> Worker | None:
        """Note that a job server knows a worker; return whom they replace by that."""
        if worker not in (self.worker, self.successor):
            return None
        self.incurable = 0
        return self._promote() if worker is self.successor else None

    def _promote(self) -> Worker | None:
        before, self.worker, self.successor = self.worker, self.successor, None
        return before

    def lose(self, worker: Worker, code: int, now: float) -> float | None:
        """Note a death; return the seconds until another is forked, None for no other."""
        was_replaced = worker is self.worker and self.successor is not None
        if worker is self.worker:
            self._promote()
        elif worker is self.successor:
            self.successor = None
        else:
            return None
        delay = self._count(worker, code, now)
        return None if was_replaced else delay

    def _count(self, worker: Worker, code: int, now: float) -> float:
        if code == EXIT_RECYCLED:
            return self._delay(0.0, now)
        if now - worker.born_at >= LIVED_WELL:
            self.failures = 0
        self.failures += 1
        if code in INCURABLE and not worker.is_serving:
            self.incurable = code
            return self._delay(max(DELAYS[1], self._patience), now)
        return self._delay(self._patience, now)

    def fail(self, now: float) -> float:
        """Note that nobody could be forked; return the seconds until that is tried again."""
        self.is_ordered = False
        self.failures += 1
        return self._delay(max(DELAYS[1], self._patience), now)

    @property
    def _patience(self) -> float:
        return DELAYS[min(self.failures, len(DELAYS)) - 1]

    def _delay(self, seconds: float, now: float) -> float:
        self.due_at = now + seconds
        return seconds


@dataclass(slots=True)
class Slots:
    """All slots of a pool."""

    size: int
    all: list[Slot] = field(init=False)

    def __post_init__(self) -> None:
        self.all = [Slot(number) for number in range(self.size)]

    def __getitem__(self, number: int) -> Slot:
        return self.all[number]

    def __iter__(self) -> Iterator[Slot]:
        return iter(self.all)

    def next_due(self, now: float) -> float:
        """Return when the next slot that waits is due, or has waited too long for a birth."""
        births = (slot.ordered_at + BIRTH for slot in self.all if slot.is_ordered)
        return min((*births, *(slot.due_at for slot in self.all if slot.due_at > now)), default=inf)

    def stillborn(self, now: float) -> list[Slot]:
        """Return the slots whose worker was ordered too long ago to be born yet."""
        return [slot for slot in self.all if slot.is_ordered and now >= slot.ordered_at + BIRTH]

    def forget_orders(self) -> None:
        """Note that the nursery is gone that was to fork."""
        for slot in self.all:
            slot.is_ordered = False

    @property
    def incurable(self) -> int:
        """The exit code that every slot's worker ended with at its start; 0 while there is hope."""
        codes = [0 if slot.worker else slot.incurable for slot in self.all]
        return codes[0] if all(codes) else 0

    def all_serve(self, generation: int) -> bool:
        """Whether every slot has a worker of this generation that serves."""
        return all(
            slot.worker and slot.worker.is_serving and slot.worker.generation == generation
            for slot in self.all
        )

    def superseded(self, generation: int) -> list[Worker]:
        """Take the successors of other generations out of their slots, and return them."""
        found = [
            slot for slot in self.all if slot.successor and slot.successor.generation != generation
        ]
        workers = [slot.successor for slot in found if slot.successor]
        for slot in found:
            slot.successor = None
        return workers

    def wanting(self, generation: int, now: float, living: Iterable[Worker]) -> list[Slot]:
        """Return the slots to fork for now.

        A quarter of the slots, at least one, may have two workers at a time:
        the new one, and the old one that finishes its job.
        """
        holders = {slot.worker for slot in self.all}
        beside = sum(worker not in holders for worker in living)
        beside += sum(slot.is_ordered and slot.worker is not None for slot in self.all)
        room = max(1, self.size // 4) - beside
        wanting = [slot for slot in self.all if slot.wants(generation, now)]
        empty = [slot for slot in wanting if slot.worker is None]
        return empty + [slot for slot in wanting if slot.worker is not None][: max(0, room)]
