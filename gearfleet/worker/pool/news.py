"""What the log of a pool says, one event a function."""

from __future__ import annotations

import logging
import os
from typing import TYPE_CHECKING

from gearfleet.errors import EXIT_RECYCLED

if TYPE_CHECKING:
    from collections.abc import Collection

    from gearfleet.worker.pool.linux import Death
    from gearfleet.worker.pool.slots import Slots, Worker

logger = logging.getLogger(__name__)


def _say(level: int, action: str, text: str, *args: object, **extra: object) -> None:
    logger.log(level, text, *args, extra={"action": action, **extra})


def started(size: int) -> None:
    _say(logging.INFO, "pool_started", "Pool of %d workers: importing the code", size, size=size)


def imported(seconds: float) -> None:
    _say(
        logging.INFO,
        "pool_imported",
        "Imported the code in %.2f s; forking workers",
        seconds,
        seconds=seconds,
    )


def ready(size: int, seconds: float) -> None:
    _say(
        logging.INFO,
        "pool_ready",
        "All %d workers serve, %.2f s after the import began",
        size,
        seconds,
        size=size,
        seconds=seconds,
    )


def unborn(slot: int, error: int, delay: float) -> None:
    _say(
        logging.ERROR,
        "pool_fork_failed",
        "No worker could be forked for slot %d: %s; trying again in %g s",
        slot,
        os.strerror(error),
        delay,
        slot=slot,
        delay=delay,
    )


def stillborn(slot: int, delay: float) -> None:
    _say(
        logging.ERROR,
        "pool_worker_stillborn",
        "The worker for slot %d died before it could say who it is; trying again in %g s",
        slot,
        delay,
        slot=slot,
        delay=delay,
    )


def reloading() -> None:
    _say(logging.INFO, "pool_reloading", "Importing the code again; the workers go on meanwhile")


def reload_refused() -> None:
    _say(logging.INFO, "pool_reload_refused", "SIGHUP changes nothing: the pool is stopping")


def quiet(is_quiet: bool) -> None:
    if is_quiet:
        _say(
            logging.INFO, "pool_quiet", "Quiet: no worker takes a job any more, until SIGCONT comes"
        )
    else:
        _say(logging.INFO, "pool_resumed", "The workers take jobs again")


def draining(reason: str, count: int, seconds: float) -> None:
    _say(
        logging.INFO,
        "pool_draining",
        "Draining: %d workers finish their jobs, up to %g s. "
        "Press Ctrl-C again to stop now; the jobs will run again elsewhere.",
        count,
        seconds,
        reason=reason,
        workers=count,
    )


def interrupted(reason: str) -> None:
    _say(
        logging.WARNING,
        "pool_interrupted",
        "Interrupting the jobs in hand (second signal, %s)",
        reason,
        reason=reason,
    )


def death(worker: Worker, death: Death, lived: float, delay: float | None) -> None:
    """Say that a worker has ended, how, and what follows; `delay` is None for nothing."""
    is_fine = death.code == EXIT_RECYCLED or (worker.stops > 0 and death.code == 0)
    _say(
        logging.INFO if is_fine else logging.WARNING,
        "pool_worker_ended",
        "Worker %d of slot %d ended after %.1f s: %s%s",
        worker.pid,
        worker.slot,
        lived,
        death.cause,
        _then(delay),
        pid=worker.pid,
        slot=worker.slot,
        code=death.code,
        lived=lived,
        delay=delay,
    )


def _then(delay: float | None) -> str:
    if delay is None:
        return ""
    return f"; another one starts in {delay:g} s" if delay else "; another one starts"


def killed(pid: int) -> None:
    _say(
        logging.ERROR,
        "pool_killed",
        "Process %d has not ended in its time: SIGKILL; what it ran will run again elsewhere",
        pid,
        pid=pid,
    )


def failed(code: int, why: str) -> None:
    _say(
        logging.ERROR,
        "pool_failed",
        "The pool ends with exit code %d: %s",
        code,
        why,
        code=code,
        reason=why,
    )


def stopped(reason: str, killed: int, code: int) -> None:
    _say(
        logging.INFO,
        "pool_stopped",
        "Pool stopped (%s): every worker has ended, %d of them by SIGKILL",
        reason,
        killed,
        reason=reason,
        killed=killed,
        code=code,
    )


def state(slots: Slots, workers: Collection[Worker], now: float, deaths: int) -> None:
    """Say who has each slot, who ends beside them, and how many have died by themselves."""
    holders = [slot.worker for slot in slots]
    shown = ", ".join(f"slot {slot.number}: {_shown(slot.worker, now)}" for slot in slots)
    beside = [worker for worker in workers if worker not in holders]
    _say(
        logging.INFO,
        "pool_state",
        "Pool of %d%s: %s%s",
        slots.size,
        f" (deaths: {deaths})" if deaths else "",
        shown,
        "".join(f"; besides {_shown(worker, now)}" for worker in beside),
        slots=[slot.worker.pid if slot.worker else None for slot in slots],
        besides=[worker.pid for worker in beside],
        deaths=deaths,
    )


def _shown(worker: Worker | None, now: float) -> str:
    if worker is None:
        return "empty"
    what = "stopping" if worker.stops else "serving" if worker.is_serving else "starting"
    return f"{worker.pid} {what} for {now - worker.born_at:.0f} s"
