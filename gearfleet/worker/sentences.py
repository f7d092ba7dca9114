"""What the stop ladder says at each step: one sentence that tells what happens next."""

from __future__ import annotations

import logging
from math import inf
from typing import Any

logger = logging.getLogger(__name__)

_DRAINING = (
    "Draining: %d %s in hand, up to %g s. "
    "Press Ctrl-C again to stop now; %s will run again elsewhere."
)


def draining(reason: str, in_hand: int, timeout: float, exit_code: int) -> None:
    """Say that no more jobs are taken, and how long those in hand may take."""
    extra = {"action": "worker_draining", "reason": reason, "in_hand": in_hand}
    if exit_code:
        limit = f", up to {timeout:g} s" if in_hand and timeout < inf else ""
        logger.info(
            "Draining (%s): %s in hand%s; then exit %d, to be started again.",
            *(reason, jobs(in_hand), limit, exit_code),
            extra=extra,
        )
    elif in_hand:
        noun, pronoun = ("job", "it") if in_hand == 1 else ("jobs", "they")
        logger.info(_DRAINING, in_hand, noun, timeout, pronoun, extra=extra)
    else:
        logger.info("Draining: no job in hand.", extra=extra)


def pool_lost() -> None:
    """Say that nobody is there who would look after the worker."""
    logger.warning(
        "The parent of the pool is gone: this worker stops", extra={"action": "pool_lost"}
    )


def waiting_to_renew(name: str, seconds: float) -> None:
    """Say that a worker so young does not end yet."""
    logger.info(
        "%s: draining in %.1f s, when the process is old enough to be renewed (startsecs).",
        *(name, seconds),
        extra={"action": "worker_renewal_waits", "seconds": seconds},
    )


def ignored(name: str, reason: str) -> None:
    """Say that a signal came too late."""
    logger.info(
        "%s changes nothing: the worker stops already (%s).",
        *(name, reason),
        extra={"action": "signal_ignored", "signal": name},
    )


def quiet(in_hand: int) -> None:
    """Say that no more jobs are taken for now."""
    logger.info(
        "Quiet: %s in hand, and no more are taken. SIGCONT resumes, SIGTERM ends the worker.",
        jobs(in_hand),
        extra={"action": "worker_quiet", "in_hand": in_hand},
    )


def resumed(name: str) -> None:
    """Say that jobs are taken again."""
    logger.info("Taking jobs again (%s).", name, extra={"action": "worker_resumed"})


def state(state: str, in_hand: int, stacks: str) -> None:
    """Say what is running, and where."""
    logger.info(
        "State: %s, %s in hand. The worker goes on; this is where its threads are:\n%s",
        *(state, jobs(in_hand), stacks),
        extra={"action": "worker_state", "state": state, "in_hand": in_hand},
    )


def interrupting(why: str, in_hand: int, grace: float) -> None:
    """Say that jobs in hand have to end now."""
    noun, they_have = ("job", "it has") if in_hand == 1 else (f"{in_hand} jobs", "they have")
    logger.warning(
        "Interrupting the %s in hand (%s): %s %g s to clean up and will run again elsewhere.",
        *(noun, why, they_have, grace),
        extra={"action": "worker_interrupted", "reason": why},
    )


def stuck(grace: float, last_call: float) -> None:
    """Say that an interrupted job is still there."""
    logger.error(
        "The interrupted job did not end within %g s: interrupting it again; in %g s the "
        "process ends hard, without its shutdown hooks.",
        *(grace, last_call),
        extra={"action": "worker_stuck"},
    )


def soft_limit_reached(seconds: float) -> None:
    """Say that a task is told to end."""
    logger.warning(
        "The job in hand has reached its soft time limit of %g s",
        seconds,
        extra={"action": "soft_time_limit", "seconds": seconds},
    )


def time_limit_reached(job: Any, seconds: float) -> None:
    """Say that the process ends now, because of a job."""
    logger.critical(
        "Job %s of %s has reached its time limit of %g s: the process ends now, with the stacks of "
        "its threads; who is given the job next fails it.",
        *(job.handle, job.task, seconds),
        extra={"action": "time_limit", "handle": job.handle, "function": job.task},
    )


def jobs(count: int) -> str:
    """Return `count` as words."""
    return {0: "no job", 1: "1 job"}.get(count, f"{count} jobs")
