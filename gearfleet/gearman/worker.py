"""`GearmanWorker`: run jobs of any number of job servers, with python-gearman's names.

One loop in the calling thread serves all job servers, each of which has a
`Link` of its own. Jobs run one at a time over all of them; `prefetch` lets more
wait here, which is worth it for short jobs and harmful for long ones, because
they wait here while other workers may be idle, and count as tried when this
worker dies (reference "gearmand", F11).

Where it differs from python-gearman 2.0.2, on purpose:

* The worker outlives its job servers, and raises ServerUnavailable only if it is
  made with `raise_unavailable=True`.
* `shutdown` lets the job in hand finish and waits until the job server has its
  result, before `work` returns.
* What a callback raises reaches the client as the data of one WORK_EXCEPTION.
  Either packet ends the job, so no WORK_FAIL follows (F16).
* RESET_ABILITIES is never sent, and `unregister_task` takes effect when no job of
  the task is in hand (F10).
"""

from __future__ import annotations

import inspect
import logging
import sys
import time
from typing import TYPE_CHECKING, Any, ClassVar

from gearfleet import errors
from gearfleet.gearman.dial import CONNECT_TIMEOUT
from gearfleet.gearman.encoding import NoopEncoder
from gearfleet.gearman.hub import Hub
from gearfleet.gearman.jobs import printable, to_bytes, to_text
from gearfleet.gearman.limits import either
from gearfleet.gearman.machine import Timing
from gearfleet.gearman.protocol import Command, check_function_name, encode
from gearfleet.gearman.selector import Selector
from gearfleet.gearman.updates import JobUpdates

if TYPE_CHECKING:
    import selectors
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from gearfleet.gearman.addresses import Address, AddressLike
    from gearfleet.gearman.jobs import GearmanJob
    from gearfleet.gearman.link import Link

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

logger = logging.getLogger(__name__)

_WORK_COMPLETE = Command.WORK_COMPLETE
POLL_TIMEOUT = 60.0
#: After a job that was so short the result may wait for the next one of the same job server.
_SHORT_JOB = 0.001


class GearmanWorker(JobUpdates):
    """Grabs jobs from the job servers of a list and runs them.

    Example:
        worker = GearmanWorker(["127.0.0.1:4730"])
        worker.register_task("reverse", lambda worker, job: job.data[::-1])
        worker.work()  # until another thread, or a signal handler, calls worker.shutdown()
    """

    #: Makes the selector that the loop waits with; for green threads for instance
    #: `selectors.SelectSelector`.
    selector_class: ClassVar[type[selectors.BaseSelector]] = Selector

    #: How a job whose callback raised is answered: True with a WORK_EXCEPTION, which has
    #: to reach clients that ask for exceptions, as ours do; False with a WORK_WARNING and
    #: a WORK_FAIL, which every client understands. gearmand 1.1.20 spoils the WORK_FAIL
    #: that it makes of an exception for the others, and libgearman's wait for ever.
    sends_exceptions: ClassVar[bool] = True

    def __init__(
        self,
        host_list: AddressLike | Iterable[AddressLike] | None = None,
        *,
        prefetch: int = 1,
        client_id: str | bytes | None = None,
        timing: Timing | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        raise_unavailable: bool = False,
    ) -> None:
        """Remember the job servers; `work` connects.

        Args:
            host_list: "host", "host:port", "[v6]:port", (host, port) or a dict, one or many.
            prefetch: how many jobs may be here, the running one included.
            client_id: how the admin command `workers` shows the worker; no white space.
            timing: the patience of the worker: how long a GRAB may be unanswered, ...
            connect_timeout: seconds for one attempt to connect, name look-up included.
            raise_unavailable: let `work` raise ServerUnavailable when no job server
                is left, as python-gearman does, instead of trying them for ever.
        """
        super().__init__(host_list)
        if prefetch < 1:
            raise errors.LocalProtocolError(
                f"prefetch is {prefetch}, at least 1 job must be allowed"
            )
        #: Function on the wire to name of the task, most important first.
        self.functions: dict[bytes, str] = {}
        self.client_id: bytes | None = None
        self._prefetch = prefetch
        self._timing = timing or Timing()
        self._connect_timeout = connect_timeout
        self._raise_unavailable = raise_unavailable
        self._callbacks: dict[str, tuple[Callable[..., Any], bool]] = {}
        self._update_timeout = self._timing.heartbeat_limit
        self._hub = None
        self._is_stale = False
        self._is_stopping = False
        self._is_quiet = False
        #: Whether something has happened since GRABs, and what else waits, were last sent.
        self._is_behind = True
        #: How many short jobs have ended since the last GRABs.
        self._free_slots = 0
        if client_id is not None:
            self.set_client_id(client_id)

    # The registration may change at any time and in any thread; the loop tells it.

    def set_client_id(self, client_id: str | bytes) -> str | bytes:
        """Name the worker in the admin command `workers`; return the name.

        Raises:
            LocalProtocolError: (a ValueError) white space, or over 127 bytes.
        """
        encode(Command.SET_CLIENT_ID, to_bytes(client_id))
        self.client_id = to_bytes(client_id)
        self._registration_changed()
        return client_id

    def register_task(self, task: str | bytes, callback: Callable[..., Any]) -> str | bytes:
        """Run `callback(worker, job)`, or `callback(job)`, for every job of `task`; return `task`.

        The callback's result is the job's: bytes, None for no data, or what the
        class's `data_encoder` takes. Tasks registered first are served first.
        """
        self._register(task, callback, takes_worker=_takes_worker(callback))
        return task

    def _register(
        self, task: str | bytes, callback: Callable[..., Any], *, takes_worker: bool
    ) -> None:
        function = to_bytes(task)
        check_function_name(function)
        name = to_text(function)
        self._callbacks[name] = (callback, takes_worker)
        self.functions[function] = name
        self._registration_changed()

    def unregister_task(self, task: str | bytes) -> str | bytes:
        """Take no more jobs of `task`; return `task`.

        Jobs of it that are here already still run, also those that this very
        moment brings. Until they have, their job server is asked for no others.
        """
        self.functions.pop(to_bytes(task), None)  # its callback stays, for these jobs
        self._registration_changed()
        return task

    def add_connection(self, host: AddressLike) -> Address:
        address = super().add_connection(host)
        self._registration_changed()
        return address

    def work(self, poll_timeout: float | None = None, *, timeout: float | None = None) -> None:
        """Run jobs until `shutdown`, or until `after_poll` or `after_job` returns False.

        A job server that is down, or goes down, is tried again for ever, unless the
        worker was made with `raise_unavailable`.

        Args:
            poll_timeout: the longest time in seconds between two calls of
                `after_poll` while the worker is idle; None means 60.
            timeout: another name for it.

        Raises:
            ServerUnavailable: the worker was made without job servers; with
                `raise_unavailable` also: none of them can be reached.
            BaseException: what a callback raised that is no Exception. The job
                server then gives the job to another worker.
        """
        limit = either(poll_timeout, timeout)
        if not self.addresses:
            raise errors.ServerUnavailable("This worker was given no job server")
        hub = self._open()
        try:
            going_on = not self._is_stopping
            while going_on:
                going_on = self._step(hub, POLL_TIMEOUT if limit is None else limit)
        finally:
            try:
                hub.leave()
            finally:
                self._hub = None
                hub.close()
                self._is_stopping = False

    def shutdown(self) -> None:
        """Let `work` finish the job in hand, hand over its result, and return.

        May be called from a signal handler and from any thread. Before `work`
        is called, it makes the next `work` return at once.
        """
        self._is_stopping = True
        self._wake()

    def quiet(self) -> None:
        """Take no more jobs, without leaving the job servers; safe in a signal handler."""
        self._is_quiet = True
        self._wake()

    def resume(self) -> None:
        """Take jobs again after `quiet`; safe in a signal handler."""
        self._is_quiet = False
        self._wake()

    # Hooks, to be overridden.

    def after_poll(self, any_activity: bool) -> bool:
        """Called after each poll; return False to leave `work`."""
        return True

    def after_job(self) -> bool:
        """Called after each job; return False to leave `work`."""
        return True

    def on_gearman_error(self, error_code: str, error_text: str) -> bool:
        """Called when a job server has reported an error; it has been logged already."""
        return False

    def on_registered(self, server: Address) -> None:
        """Called each time that a job server has taken note of the functions."""

    def on_job_execute(self, current_job: GearmanJob) -> bool:
        """Run the callback of a job, and then one of the next two hooks."""
        callback, takes_worker = self._callback_of(current_job)
        try:
            if self.data_encoder is not NoopEncoder:
                current_job.data = self.data_encoder.decode(current_job.data)
            result = callback(self, current_job) if takes_worker else callback(current_job)
        except Exception:
            exc_info: Any = sys.exc_info()
            return self.on_job_exception(current_job, exc_info)
        return self.on_job_complete(current_job, result)

    def _callback_of(self, job: GearmanJob) -> tuple[Callable[..., Any], bool]:
        try:
            return self._callbacks[job.task]
        except KeyError:
            raise errors.ProtocolError(
                f"{job!r} came from {job.connection.address}; this worker never registered that task"
            ) from None

    def on_job_exception(self, current_job: GearmanJob, exc_info: ExcInfo) -> bool:
        """Log what the callback raised, and fail the job with its text."""
        kind, error, _ = exc_info
        logger.error(
            "Job %s of %s failed: %s",
            printable(current_job.handle or ""),
            printable(current_job.task),
            error,
            exc_info=exc_info,
            extra={"action": "job_failed"},
        )
        text = f"{kind.__name__}: {error}".encode("utf-8", "backslashreplace")
        if self.sends_exceptions:
            self._finish(current_job, Command.WORK_EXCEPTION, text)
        else:
            self._queue(current_job, Command.WORK_WARNING, text)
            self._finish(current_job, Command.WORK_FAIL)
        return False

    def on_job_complete(self, current_job: GearmanJob, job_result: Any) -> bool:
        """Send the result of a job."""
        self._finish(current_job, _WORK_COMPLETE, self._encode(job_result))
        return True

    def _step(self, hub: Hub, poll_timeout: float) -> bool:
        """Wait for something, do it; return whether to go on."""
        if self._is_stale:
            self._renew_registration(hub, time.monotonic())
        if self._is_behind:
            self._hand_out_grabs(hub, time.monotonic())
        any_activity = hub.poll(poll_timeout)
        self._is_behind = True
        going_on = self._run_jobs(hub) if hub.hand else True
        if self._raise_unavailable and not self._is_stopping:
            hub.check_available()
        return self.after_poll(any_activity) and going_on and not self._is_stopping

    def _renew_registration(self, hub: Hub, now: float) -> None:
        self._is_stale = False
        self._is_behind = True
        if not hub.renew(self.addresses, now):
            self._is_stale = True

    def _hand_out_grabs(self, hub: Hub, now: float) -> None:
        self._free_slots = 0
        self._is_behind = False
        if not (self._is_stopping or self._is_quiet):
            hub.hand_out_grabs(now)
        hub.flush(now)

    def _run_jobs(self, hub: Hub) -> bool:
        """Run the jobs in hand; return False if a hook wants to stop."""
        now = time.monotonic()
        while hub.hand and not self._is_stopping and not hub.is_flushing(now):
            job = hub.hand.popleft()
            if job.is_finished:  # its connection broke: it is another worker's now
                continue
            began = now
            self._run(job)
            now = time.monotonic()
            self._send_results(hub, job, now, is_short=now - began < _SHORT_JOB)
            if not self.after_job():
                return False
        return True

    def _run(self, job: GearmanJob) -> None:
        try:
            self.on_job_execute(job)
        except Exception as error:
            # A hook, or the encoding of the result. It concerns this job alone.
            if not job.is_finished:
                GearmanWorker.on_job_exception(self, job, (type(error), error, error.__traceback__))
        if not job.is_finished:
            logger.warning(
                "The hooks of %s ended job %s in no way; it fails",
                printable(job.task),
                printable(job.handle or ""),
                extra={"action": "job_unfinished"},
            )
            self._finish(job, Command.WORK_FAIL)

    def _send_results(self, hub: Hub, job: GearmanJob, now: float, *, is_short: bool) -> None:
        """Send the final packet and the next GRAB, in one write.

        While short jobs of the same job server wait here, the kernel may gather
        results, and GRABs go out when half of the slots are free.
        """
        link: Link = job.connection
        if link.machine is None:
            return
        link.machine.finished_job(now)
        if is_short and hub.hand and hub.hand[0].connection is link:
            self._free_slots += 1
            if 2 * self._free_slots < self._prefetch:
                link.flush(now, more_follows=True)
                return
        self._hand_out_grabs(hub, now)

    def _open(self) -> Hub:
        if self._hub is not None:
            raise errors.InvalidWorkerState("This worker is at work already, in another thread")
        self._hub = Hub(
            self,
            self.addresses,
            prefetch=self._prefetch,
            timing=self._timing,
            connect_timeout=self._connect_timeout,
            selector_class=self.selector_class,
        )
        return self._hub

    def _registration_changed(self) -> None:
        self._is_stale = True
        self._wake()

    def _wake(self) -> None:
        hub = self._hub
        if hub is not None:
            hub.wake()


def _takes_worker(callback: Callable[..., Any]) -> bool:
    """Return whether `callback` takes (worker, job), python-gearman's form, or (job)."""
    try:
        parameters = inspect.signature(callback).parameters.values()
    except (TypeError, ValueError):  # some builtins have no signature
        return False
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return True
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    return sum(p.default is p.empty for p in positional) >= 2
