"""`Watch`: runs the jobs of a worker under the eyes of its host.

    with Watch.open(settings, program="worker_bar", ...) as watch:
        execute = watch.over(executor)      # instead of executor.execute
        watch.reason = "SIGTERM"

Each job is shown on the board, and is in hand for the quarantine, from before
its payload is read until what follows it is done: whatever it does to the
worker meanwhile is its doing. A job that has killed workers too often is not
run again.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol, Self

from gearfleet.errors import JobQuarantined
from gearfleet.worker.boards import About, encoded
from gearfleet.worker.gate import Gate
from gearfleet.worker.hard_end import FOLDER as TIME_LIMITS
from gearfleet.worker.hard_end import HardEnd
from gearfleet.worker.in_hand import key_of
from gearfleet.worker.job import Completed, Failed
from gearfleet.worker.quarantine import Quarantine
from gearfleet.worker.scoreboard import DONE, FAILED, GIVEN_BACK, Scoreboard
from gearfleet.worker.time_limits import TimeLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from gearfleet.config import Settings
    from gearfleet.tasks import Task
    from gearfleet.worker.deaths import Death
    from gearfleet.worker.in_hand import InHand
    from gearfleet.worker.job import Assignment, Outcome

logger = logging.getLogger(__name__)


class Executing(Protocol):
    """What is watched of the `Executor`."""

    def execute(self, assignment: Assignment) -> Outcome: ...
    def refuse(self, assignment: Assignment, error: JobQuarantined, *, is_read: bool) -> Failed: ...
    def time_out(self, assignment: Assignment, error: Exception, stacks: str) -> Outcome: ...


class Watch:
    """What a worker tells its host, and hears from it.

    Use it as a context manager: in the end it says why the process ends.

    Attributes:
        board: of this process.
        reason: why it ends.
        time_limits: of its tasks.
        hard_end: which they use.
    """

    def __init__(
        self,
        board: Scoreboard,
        quarantine: Quarantine,
        about: About,
        time_limits: TimeLimits,
        hard_end: HardEnd,
        *,
        hands: int = 1,
    ) -> None:
        """Use these; see `open`."""
        self.board = board
        self.reason = ""
        self.time_limits = time_limits
        self.hard_end = hard_end
        self._quarantine = quarantine
        self._about = about
        self._hands = hands

    @classmethod
    def open(
        cls,
        settings: Settings,
        *,
        program: str,
        slot: str = "",
        module: str,
        queues: Sequence[str],
        release: str,
        prefetch: int = 1,
        hands: int = 1,
        tasks: Mapping[str, Task[..., Any]] | None = None,
        time_limit: float = 0.0,
    ) -> Self:
        """Begin to watch this process; where the run directory cannot be written, in vain.

        `hands` is how many jobs run at a time; `time_limit` is that of `tasks` without one
        of their own, 0 for none.
        """
        about = About(
            program=program,
            slot=slot,
            module=module,
            queues=tuple(queues),
            release=release,
            prefetch=prefetch,
        )
        hard_end = HardEnd(settings.run_dir / TIME_LIMITS / about.file_name, is_shared=hands > 1)
        time_limits = TimeLimits(tasks or {}, time_limit, hard_end)
        quarantine = Quarantine(
            settings.run_dir, settings.quarantine_after, has_time_limits=bool(time_limits)
        )
        try:
            previous, trouble = quarantine.enter(about, hands), ""
        except OSError as error:
            previous, trouble = "", str(error)
        board = Scoreboard.open(settings.run_dir, about.after(previous), hands=hands)
        if trouble and board.path is not None:
            _warn(f"no job of this worker is taken out: {trouble}")
        return cls(board, quarantine, about, time_limits, hard_end, hands=hands)

    def over(
        self, executor: Executing, tasks: Mapping[str, Task[..., Any]] | None = None
    ) -> Callable[[Assignment], Outcome]:
        """Return what runs a job as `executor` does, of `tasks` by their functions."""
        self.board.name_tasks({each: task.name for each, task in (tasks or {}).items()})
        begin, in_hand = self.board.begin, self._quarantine.in_hand
        time_limits = self.time_limits or None

        def execute(assignment: Assignment) -> Outcome:
            handle = assignment.handle or ""
            unique = (assignment.unique or handle).encode("utf-8", "surrogateescape")
            deadline = time_limits.deadline(assignment.task) if time_limits else 0.0
            hand = begin(assignment.task, handle, unique, time.time(), deadline)
            how = GIVEN_BACK
            try:
                if in_hand is not None and in_hand.hold(hand.number, key_of(unique)):
                    outcome = self._execute_suspect(executor, assignment)
                else:
                    outcome = executor.execute(assignment)
                how = DONE if isinstance(outcome, Completed) else FAILED
                return outcome
            finally:
                if in_hand is not None:
                    in_hand.drop(hand.number)
                hand.end(how)

        return execute if in_hand is None or self._hands == 1 else self._gated(execute, in_hand)

    def _gated(
        self, execute: Callable[[Assignment], Outcome], in_hand: InHand
    ) -> Callable[[Assignment], Outcome]:
        """Return what does the same with a job that is suspected while no other one runs."""
        gate = Gate()

        def execute_in_turn(assignment: Assignment) -> Outcome:
            is_known = in_hand.knows(key_of(encoded(_name(assignment))))
            deaths = self._deaths(assignment) if is_known else ()
            # Who ran into a time limit is not run again, and need not wait for that.
            is_suspect = bool(deaths) and not any(death.is_timeout for death in deaths)
            with gate.alone() if is_suspect else gate.among_others():
                return execute(assignment)

        return execute_in_turn

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.board.close(self.reason or "ended before it was ready")
        try:
            self._quarantine.leave(self._about)
        except OSError as error:
            logger.debug("The entries of this worker are not set free: %s", error)

    def _execute_suspect(self, executor: Executing, assignment: Assignment) -> Outcome:
        deaths = self._deaths(assignment)
        after = self._quarantine.after
        timeouts = [death for death in deaths if death.is_timeout]
        if timeouts:
            death = timeouts[-1]
            error = self.time_limits.verdict(assignment.task, death)
            outcome = executor.time_out(assignment, error, death.stacks)
        elif not after or len(deaths) < after:
            outcome = executor.execute(assignment)
        else:
            # Where one more died, it was not the task that killed it, but what is read of the job.
            is_read = len(deaths) == after
            outcome = executor.refuse(assignment, _verdict(deaths), is_read=is_read)
        if deaths:
            self._clear(assignment)
        return outcome

    def _deaths(self, assignment: Assignment) -> Sequence[Death]:
        try:
            return self._quarantine.deaths(assignment.task, _name(assignment))
        except OSError as error:
            _warn(f"job {assignment.handle} is run, whatever it may have done before: {error}")
            return ()

    def _clear(self, assignment: Assignment) -> None:
        try:
            self._quarantine.clear(assignment.task, _name(assignment))
        except OSError as error:
            _warn(f"job {assignment.handle} stays under suspicion: {error}")


def _name(assignment: Assignment) -> str:
    """Return the unique of a job; a foreign client may have given it none."""
    return assignment.unique or assignment.handle or ""


def _verdict(deaths: Sequence[Death]) -> JobQuarantined:
    lines = "\n".join(f"  {death}" for death in deaths)
    return JobQuarantined(
        f"Not run again: {len(deaths)} workers died while they ran this job:\n{lines}"
    )


def _warn(what: str) -> None:
    logger.warning("The quarantine does not work: %s", what, extra={"action": "no_quarantine"})
