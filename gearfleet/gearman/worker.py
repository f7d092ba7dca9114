"""`GearmanWorker`: run jobs of any number of job servers, with python-gearman's names.

One loop in the calling thread serves all job servers, each of which has a
`Link` of its own. Jobs run one at a time over all of them; `prefetch` lets more
wait here, which is worth it for short jobs and harmful for long ones, because
they wait here while other workers may be idle, and count as tried when this
worker dies (reference "gearmand", F11).

Where it differs from python-gearman 2.0.2, on purpose:

* The worker outlives its job servers and never raises ServerUnavailable.
* `shutdown` lets the job in hand finish and waits until the job server has its
  result, before `work` returns.
* What a callback raises reaches the client as the data of one WORK_EXCEPTION.
  Either packet ends the job, so no WORK_FAIL follows (F16).
* RESET_ABILITIES is never sent (F10).
"""

from __future__ import annotations

import inspect
import logging
import selectors
import socket
import sys
import time
from collections import deque
from typing import TYPE_CHECKING, Any, ClassVar

from gearfleet import errors
from gearfleet.gearman.addresses import parse_all
from gearfleet.gearman.dial import CONNECT_TIMEOUT
from gearfleet.gearman.encoding import DataEncoder, NoopEncoder, encode_with
from gearfleet.gearman.jobs import GearmanJob, to_bytes, to_text
from gearfleet.gearman.link import Link
from gearfleet.gearman.machine import Timing
from gearfleet.gearman.protocol import Command, check_function_name, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType

    from gearfleet.gearman.addresses import Address, AddressLike

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]

logger = logging.getLogger(__name__)

POLL_TIMEOUT = 60.0
#: After a job that was so short the result may wait for the next one of the same job server.
_SHORT_JOB = 0.001
#: A job begins while an earlier result cannot be sent, if not one byte of that moved for so long.
_STALL = 0.25
#: How much streamed data may wait for a slow job server.
_MAX_BACKLOG_BYTES = 1024 * 1024


class GearmanWorker:
    """Grabs jobs from the job servers of a list and runs them.

    Example:
        worker = GearmanWorker(["127.0.0.1:4730"])
        worker.register_task("reverse", lambda worker, job: job.data[::-1])
        worker.work()  # until another thread, or a signal handler, calls worker.shutdown()
    """

    data_encoder: ClassVar[type[DataEncoder]] = NoopEncoder

    def __init__(
        self,
        host_list: AddressLike | Iterable[AddressLike] | None = None,
        *,
        prefetch: int = 1,
        client_id: str | bytes | None = None,
        timing: Timing | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        """Remember the job servers; `work` connects.

        Args:
            host_list: "host", "host:port", "[v6]:port" or (host, port), one or many.
            prefetch: how many jobs may be here, the running one included.
            client_id: how the admin command `workers` shows the worker; no white space.
            timing: the patience of the worker: how long a GRAB may be unanswered, ...
            connect_timeout: seconds for one attempt to connect, name look-up included.
        """
        if prefetch < 1:
            raise errors.LocalProtocolError(
                f"prefetch is {prefetch}, at least 1 job must be allowed"
            )
        #: Function on the wire to name of the task, most important first.
        self.functions: dict[bytes, str] = {}
        self.client_id: bytes | None = None
        self._addresses = parse_all(host_list)
        self._prefetch = prefetch
        self._timing = timing or Timing()
        self._connect_timeout = connect_timeout
        self._callbacks: dict[str, tuple[Callable[..., Any], bool]] = {}
        self._links: list[Link] = []
        self._hand: deque[GearmanJob] = deque()
        self._selector: selectors.BaseSelector | None = None
        self._bell: socket.socket | None = None
        self._is_stopping = False
        self._is_quiet = False
        if client_id is not None:
            self.set_client_id(client_id)

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The job servers."""
        return self._addresses

    def set_client_id(self, client_id: str | bytes) -> str | bytes:
        """Name the worker in the admin command `workers`; return the name.

        Raises:
            LocalProtocolError: (a ValueError) white space, or over 127 bytes.
        """
        packet = encode(Command.SET_CLIENT_ID, to_bytes(client_id))
        self.client_id = to_bytes(client_id)
        for link in self._links:
            if link.machine is not None:
                link.machine.outgoing += packet
        return client_id

    def register_task(self, task: str | bytes, callback: Callable[..., Any]) -> str | bytes:
        """Run `callback(worker, job)`, or `callback(job)`, for every job of `task`; return `task`.

        The callback's result is the job's: bytes, None for no data, or what the
        class's `data_encoder` takes. Tasks registered first are served first.
        """
        function = to_bytes(task)
        check_function_name(function)
        name = to_text(function)
        is_new = function not in self.functions
        self.functions[function] = name
        self._callbacks[name] = (callback, _takes_worker(callback))
        for link in self._links:
            if is_new and link.machine is not None:
                link.machine.register(function, time.monotonic())
        return task

    def work(self, poll_timeout: float = POLL_TIMEOUT) -> None:
        """Run jobs until `shutdown`, or until `after_poll` or `after_job` returns False.

        A job server that is down, or goes down, is tried again for ever.

        Args:
            poll_timeout: the longest time in seconds between two calls of `after_poll`.

        Raises:
            ServerUnavailable: the worker was made without job servers.
            BaseException: what a callback raised that is no Exception. The job
                server then gives the job to another worker.
        """
        if not self._addresses:
            raise errors.ServerUnavailable("This worker was given no job server")
        self._open()
        try:
            going_on = not self._is_stopping
            while going_on:
                going_on = self._step(poll_timeout)
        finally:
            try:
                self._leave(self._links)
            finally:
                self._close()

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

    def on_job_execute(self, current_job: GearmanJob) -> bool:
        """Run the callback of a job, and then one of the next two hooks."""
        callback, takes_worker = self._callbacks[current_job.task]
        try:
            if self.data_encoder is not NoopEncoder:
                current_job.data = self.data_encoder.decode(current_job.data)
            result = callback(self, current_job) if takes_worker else callback(current_job)
        except Exception:
            exc_info: Any = sys.exc_info()
            return self.on_job_exception(current_job, exc_info)
        return self.on_job_complete(current_job, result)

    def on_job_exception(self, current_job: GearmanJob, exc_info: ExcInfo) -> bool:
        """Log what the callback raised, and fail the job with its text."""
        kind, error, _ = exc_info
        logger.error(
            "Job %s of %s failed: %s",
            current_job.handle,
            current_job.task,
            error,
            exc_info=exc_info,
            extra={"action": "job_failed"},
        )
        text = f"{kind.__name__}: {error}".encode("utf-8", "backslashreplace")
        self._finish(current_job, Command.WORK_EXCEPTION, text)
        return False

    def on_job_complete(self, current_job: GearmanJob, job_result: Any) -> bool:
        """Send the result of a job."""
        self._finish(current_job, Command.WORK_COMPLETE, self._encode(job_result))
        return True

    # What a callback may send. All of it is written at once.

    def send_job_status(
        self,
        current_job: GearmanJob,
        numerator: int,
        denominator: int,
        poll_timeout: float | None = None,
    ) -> None:
        """Tell how much of the job is done; the job server keeps the last one for GET_STATUS."""
        progress = (str(int(numerator)).encode(), str(int(denominator)).encode())
        self._update(current_job, Command.WORK_STATUS, *progress, poll_timeout=poll_timeout)

    def send_job_data(
        self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None
    ) -> None:
        """Send a part of the result to the clients that wait."""
        encoded = self._encode(data)
        self._update(current_job, Command.WORK_DATA, encoded, poll_timeout=poll_timeout)

    def send_job_warning(
        self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None
    ) -> None:
        """Send a warning to the clients that wait."""
        encoded = self._encode(data)
        self._update(current_job, Command.WORK_WARNING, encoded, poll_timeout=poll_timeout)

    def send_job_complete(
        self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None
    ) -> None:
        """End the job with a result."""
        self._finish(current_job, Command.WORK_COMPLETE, self._encode(data))
        self._flush_now(current_job, poll_timeout)

    def send_job_failure(self, current_job: GearmanJob, poll_timeout: float | None = None) -> None:
        """End the job without a reason."""
        self._finish(current_job, Command.WORK_FAIL)
        self._flush_now(current_job, poll_timeout)

    def send_job_exception(
        self, current_job: GearmanJob, data: Any, poll_timeout: float | None = None
    ) -> None:
        """End the job with a reason; it is the client's `request.exception`."""
        self._finish(current_job, Command.WORK_EXCEPTION, self._encode(data))
        self._flush_now(current_job, poll_timeout)

    def _step(self, poll_timeout: float) -> bool:
        """Wait for something, do it; return whether to go on."""
        now = time.monotonic()
        self._hand_out_grabs(now)
        due = min((link.deadline for link in self._links), default=now + poll_timeout)
        any_activity = self._poll(min(due - now, poll_timeout))
        going_on = self._run_jobs()
        return self.after_poll(any_activity) and going_on and not self._is_stopping

    def _poll(self, timeout: float) -> bool:
        assert self._selector is not None
        if self._hand:
            timeout = min(timeout, _STALL)
        ready = self._selector.select(max(0.0, timeout))
        now = time.monotonic()
        for key, mask in ready:
            key.data(mask, now)
        # Only after reading: while a job ran, answers may have come in time and
        # waited in the kernel.
        for link in self._links:
            if now >= link.deadline:
                link.tick(now)
        return bool(ready)

    def _hand_out_grabs(self, now: float) -> None:
        """Give the free slots to the job servers that may have jobs, in turn, and send."""
        links = self._links
        if not (self._is_stopping or self._is_quiet):
            free = self._prefetch
            for link in links:
                if link.machine is not None:
                    free -= len(link.jobs) + link.machine.pending_grabs
            for link in tuple(links) if free > 0 else ():
                machine = link.machine
                if machine is not None and (count := min(free, machine.wanted_grabs)) > 0:
                    machine.grab(count, now)
                    free -= count
                    links.append(links.pop(links.index(link)))
        for link in links:
            if link.machine is not None and link.machine.outgoing and link.blocked_at is None:
                link.flush(now)

    def _run_jobs(self) -> bool:
        """Run the jobs in hand; return False if a hook wants to stop."""
        now = time.monotonic()
        while self._hand and not self._is_stopping and not self._is_flushing(now):
            job = self._hand.popleft()
            if job.is_finished:  # its connection broke: it is another worker's now
                continue
            began = now
            self._run(job)
            now = time.monotonic()
            self._send_results(job, now, is_short=now - began < _SHORT_JOB)
            if not self.after_job():
                return False
        return True

    def _is_flushing(self, now: float) -> bool:
        """Whether a result is on its way out, which a long job would hold up."""
        for link in self._links:
            if link.blocked_at is not None and now - link.blocked_at < _STALL:
                return True
        return False

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
                job.task,
                job.handle,
                extra={"action": "job_unfinished"},
            )
            self._finish(job, Command.WORK_FAIL)

    def _send_results(self, job: GearmanJob, now: float, *, is_short: bool) -> None:
        """Send the final packet and the next GRAB, in one write."""
        link: Link = job.connection
        if link.machine is None:
            return
        link.machine.finished_job(now)
        if is_short and self._hand and self._hand[0].connection is link:
            if link.machine.wanted_grabs and not (self._is_quiet or self._is_stopping):
                link.machine.grab(1, now)
            link.flush(now, more_follows=True)
        else:
            self._hand_out_grabs(now)

    def _encode(self, value: Any) -> bytes:
        if self.data_encoder is NoopEncoder:
            if isinstance(value, bytes):
                return value
            if value is None:
                return b""
        return encode_with(self.data_encoder, value)

    def _finish(self, job: GearmanJob, command: Command, *data: bytes) -> None:
        """Queue the one final packet of a job."""
        if self._queue(job, command, *data):
            job.connection.jobs.discard(job)
            job.is_finished = True

    def _update(
        self, job: GearmanJob, command: Command, *args: bytes, poll_timeout: float | None
    ) -> None:
        if self._queue(job, command, *args):
            self._flush_now(job, poll_timeout)

    def _queue(self, job: GearmanJob, command: Command, *args: bytes) -> bool:
        if job.is_finished:
            logger.debug("%r is not ours any more, or has ended: no %s", job, command.name)
            return False
        assert job.handle is not None
        link: Link = job.connection
        assert link.machine is not None
        link.machine.outgoing += encode(command, to_bytes(job.handle), *args)
        return True

    def _flush_now(self, job: GearmanJob, poll_timeout: float | None) -> None:
        """Send; wait only if a slow job server leaves too much of it here."""
        link: Link = job.connection
        limit = time.monotonic() + (
            self._timing.heartbeat_limit if poll_timeout is None else poll_timeout
        )
        link.flush(time.monotonic())
        while link.machine is not None and len(link.machine.outgoing) > _MAX_BACKLOG_BYTES:
            if time.monotonic() >= limit:
                break
            self._poll(_STALL)

    def _leave(self, links: list[Link]) -> None:
        """Close connections so that nothing is lost with them.

        A GRAB may be on its way, and its job on the way back. A job that has not
        begun is given back by closing the connection: the job server then hands
        it to another worker at once. The results of the jobs that did run must
        have been read before that, so an ECHO goes first, and the end of the
        connection waits for its answer.
        """
        self._hand.clear()
        now = time.monotonic()
        for link in links:
            link.leave(now)
        while any(link.is_open for link in links):
            for link in links:
                link.flush(now)
            self._poll(max(0.0, min(link.deadline for link in links) - time.monotonic()))
            now = time.monotonic()

    def _open(self) -> None:
        if self._selector is not None:
            raise errors.InvalidWorkerState("This worker is at work already, in another thread")
        self._selector = selectors.DefaultSelector()
        ear, self._bell = socket.socketpair()
        ear.setblocking(False)
        self._bell.setblocking(False)
        self._ear = ear
        self._selector.register(ear, selectors.EVENT_READ, self._heard_bell)
        self._links = [self._new_link(address) for address in self._addresses]

    def _new_link(self, address: Address) -> Link:
        assert self._selector is not None
        link = Link(
            address,
            self._selector,
            self,
            prefetch=self._prefetch,
            timing=self._timing,
            connect_timeout=self._connect_timeout,
        )
        link.assigned = self._hand.append
        return link

    def _close(self) -> None:
        assert self._selector is not None
        assert self._bell is not None
        for link in self._links:
            link.close()
        self._links = []
        self._selector.close()
        self._selector = None
        bell, self._bell = self._bell, None
        bell.close()
        self._ear.close()
        self._is_stopping = False

    def _wake(self) -> None:
        bell = self._bell
        if bell is not None:
            try:
                bell.send(b"\0")
            except OSError:  # full, so the loop wakes up anyway; or closed, so it has ended
                pass

    def _heard_bell(self, mask: int, now: float) -> None:
        try:
            self._ear.recv(4096)
        except BlockingIOError:
            pass


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
