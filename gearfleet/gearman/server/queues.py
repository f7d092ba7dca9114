"""What a Gearman job server does, without sockets or a clock of its own.

The semantics are gearmand 1.1.20's (reference "gearmand", section 5), except
where gearmand loses or repeats jobs:

- F1, F2: whether a job is still wanted is asked when it matters, from who waits
  for it, instead of being a flag that once set is never cleared. A queued job
  that nobody wants is removed at once, so no later submit can be attached to it.
- F3: a cancelled job is removed, or, if it is running, forgotten by everyone
  but its worker.
- F4: a time limit belongs to one job, ends with it, and fails it.
- F5, F6: a job that is not due stands apart, and wakes workers when it falls due.
- A worker that answers NOOP with PRE_SLEEP is woken again.

Everything that leaves here goes through `Peer.send`.
"""

from __future__ import annotations

from functools import partial
from itertools import count
from typing import TYPE_CHECKING

from gearfleet.errors import LocalProtocolError
from gearfleet.gearman.protocol import MAX_UNIQUE_BYTES, Command, check_function_name
from gearfleet.gearman.server.jobs import NO_UNIQUE, Function, Job, Priority
from gearfleet.gearman.server.timers import Timers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from gearfleet.gearman.server.jobs import Peer, UniqueKey

#: Leaves room for a counter of 20 digits within the 63 bytes of a handle.
_HOST_BYTES = 40


class Refused(Exception):
    """The server will not do what was asked; the asker gets ERROR with a code and a text."""

    def __init__(self, code: bytes, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class JobQueues:
    """Functions, jobs and peers, and everything that may happen to them.

    Args:
        host: the middle of every handle, ``H:<host>:<n>``.
        clock: returns seconds since the epoch.
        job_retries: how many workers may be lost with a job until it fails; 0 is no limit.
    """

    def __init__(self, *, host: str, clock: Callable[[], float], job_retries: int = 0) -> None:
        self.functions: dict[bytes, Function] = {}
        self.jobs: dict[bytes, Job] = {}
        self.peers: dict[Peer, None] = {}
        self._clock = clock
        self._job_retries = job_retries
        self._timers = Timers()
        self._handles = _handles(host)

    # Peers

    def connect(self, peer: Peer) -> None:
        """Take note of a new connection."""
        self.peers[peer] = None

    def disconnect(self, peer: Peer) -> None:
        """Let go of a lost connection: its jobs in hand go to other workers at once."""
        del self.peers[peer]
        for job in list(peer.awaits):
            job.clients = tuple(client for client in job.clients if client is not peer)
            if job.is_abandoned and not job.is_running:
                self._forget(job)
        self.reset_abilities(peer)

    # Functions

    def function(self, name: bytes) -> Function:
        """Return the function of that name, made now if need be."""
        function = self.functions.get(name)
        if function is None:
            try:
                check_function_name(name)
            except LocalProtocolError as error:
                raise Refused(b"INVALID_FUNCTION_NAME", str(error)) from error
            function = self.functions[name] = Function(name)
        return function

    def drop_function(self, function: Function) -> bool:
        """Forget a function, unless it has workers or jobs."""
        if function.registrations or function.total:
            return False
        del self.functions[function.name]
        return True

    # Workers

    def can_do(self, worker: Peer, name: bytes, *, time_limit: float | None = None) -> None:
        """Register the worker for a function; the last registered is served first."""
        function = self.function(name)
        function.registrations += 1
        worker.abilities.insert(0, function)
        worker.time_limits.pop(function, None)
        if time_limit:
            worker.time_limits[function] = time_limit
        if worker.asleep:
            function.sleepers[worker] = None

    def cant_do(self, worker: Peer, name: bytes) -> None:
        """Undo every CAN_DO of a function; its jobs in hand go back to the queue (F10)."""
        function = self.functions.get(name)
        if function is None or function not in worker.abilities:
            return
        function.registrations -= worker.abilities.count(function)
        function.sleepers.pop(worker, None)
        worker.time_limits.pop(function, None)
        worker.abilities = [ability for ability in worker.abilities if ability is not function]
        self._give_back(worker, function)

    def reset_abilities(self, worker: Peer) -> None:
        """Undo every CAN_DO; all jobs in hand go back to the queue (F10)."""
        for name in [function.name for function in dict.fromkeys(worker.abilities)]:
            self.cant_do(worker, name)

    def _give_back(self, worker: Peer, function: Function) -> None:
        # gearmand keeps a worker's jobs as a stack: the last one taken is first in the queue.
        for job in [job for job in reversed(worker.holds) if job.function is function]:
            self._requeue(job)

    def grab(self, worker: Peer) -> Job | None:
        """Give the worker its next job, if there is one."""
        if worker.asleep:
            self._rouse(worker)
        for function in worker.abilities:
            job = function.first()
            if job is not None:
                self._assign(job, worker)
                return job
        return None

    def _assign(self, job: Job, worker: Peer) -> None:
        job.move(job.function.running)
        job.worker = worker
        worker.holds[job] = None
        if worker.time_limits:
            self._limit(job, worker.time_limits.get(job.function))

    def _limit(self, job: Job, seconds: float | None) -> None:
        if seconds is not None:
            job.timer = self._timers.schedule(self._clock() + seconds, partial(self.fail, job))

    def pre_sleep(self, worker: Peer) -> None:
        """Let the worker sleep until a job comes, or wake it at once if there is one."""
        if any(function.is_runnable for function in worker.abilities):
            worker.send(Command.NOOP)
            return
        worker.asleep = True
        for function in worker.abilities:
            function.sleepers[worker] = None

    def _wake(self, function: Function) -> None:
        for worker in list(function.sleepers):
            self._rouse(worker)
            worker.send(Command.NOOP)

    def _rouse(self, worker: Peer) -> None:
        worker.asleep = False
        for function in worker.abilities:
            function.sleepers.pop(worker, None)

    # Jobs

    def submit(
        self,
        name: bytes,
        unique: bytes,
        data: bytes,
        *,
        priority: Priority = Priority.NORMAL,
        client: Peer | None = None,
        due: float = 0.0,
        reducer: bytes | None = None,
    ) -> Job:
        """Accept a job, or attach to the one that has the same function and unique.

        `client` waits for the result; without one it is a background job. No worker
        gets the job before `due`, in seconds since the epoch.

        Raises:
            Refused: the unique is too long, or the function is full.
        """
        if len(unique) > MAX_UNIQUE_BYTES:
            raise Refused(b"ARGUMENT_TOO_LARGE", f"A unique has at most {MAX_UNIQUE_BYTES} bytes")
        function = self.function(name)
        key = _unique_key(unique, data)
        job = function.uniques.get(key)
        if job is None:
            job = self._create(function, unique, key, data, priority)
            job.reducer = reducer
            self._queue(job, due)
        self._attach(job, client)
        return job

    def _create(
        self, function: Function, unique: bytes, key: UniqueKey, data: bytes, priority: Priority
    ) -> Job:
        if function.is_full(priority):
            raise Refused(b"QUEUE_ERROR", "Job queue is full")
        job = Job(next(self._handles), function, unique, key, data, priority)
        self.jobs[job.handle] = job
        if key != NO_UNIQUE:
            function.uniques[key] = job
        return job

    def _queue(self, job: Job, due: float) -> None:
        if due > self._clock():
            job.move(job.function.delayed)
            job.timer = self._timers.schedule(due, partial(self._make_runnable, job))
        else:
            self._make_runnable(job)

    def _make_runnable(self, job: Job) -> None:
        function = job.function
        job.move(function.queued[job.priority])
        if function.sleepers:
            self._wake(function)

    def _attach(self, job: Job, client: Peer | None) -> None:
        if client is None:
            job.background = True
        else:
            job.clients += (client,)
            client.awaits[job] = None

    def _requeue(self, job: Job) -> None:
        """Take a job from its worker; another one gets it, unless nobody wants it any more."""
        self._take_back(job)
        job.retries += 1
        if job.is_abandoned:
            self._forget(job)
        elif job.retries == self._job_retries:
            self.fail(job)
        else:
            self._make_runnable(job)

    def _take_back(self, job: Job) -> None:
        if job.worker is not None:
            del job.worker.holds[job]
            job.worker = None
        if job.timer is not None:
            self._timers.cancel(job.timer)
            job.timer = None

    def held_by(self, worker: Peer, handle: bytes) -> Job:
        """Return the job that the worker has in hand; it may report on no other."""
        job = self.jobs.get(handle)
        if job is None or job.worker is not worker:
            raise Refused(b"JOB_NOT_FOUND", "Job given in work result not found")
        return job

    def finish(self, job: Job, command: Command, *args: bytes) -> None:
        """End a job with the packet that each of its clients gets."""
        self._forget(job)
        for client in job.clients:
            client.send(command, *args)

    def fail(self, job: Job) -> None:
        """End a job in failure. It is final, also for a background job (F16)."""
        self.finish(job, Command.WORK_FAIL, job.handle)

    def raise_in(self, job: Job, data: bytes) -> None:
        """End a job with an exception, which only those clients hear that asked for exceptions."""
        self._forget(job)
        for client in job.clients:
            if client.wants_exceptions:
                client.send(Command.WORK_EXCEPTION, job.handle, data)
            else:
                client.send(Command.WORK_FAIL, job.handle)

    def cancel(self, job: Job) -> None:
        """Remove a queued job; of a running one, forget everything but that a worker has it."""
        if not job.is_running:
            self.fail(job)
            return
        clients, job.clients, job.background = job.clients, (), False
        self._forget_unique(job)
        for client in clients:
            client.awaits.pop(job, None)
            client.send(Command.WORK_FAIL, job.handle)

    def _forget(self, job: Job) -> None:
        self._take_back(job)
        del job.place[job]
        del self.jobs[job.handle]
        self._forget_unique(job)
        for client in job.clients:
            client.awaits.pop(job, None)

    def _forget_unique(self, job: Job) -> None:
        if job.function.uniques.get(job.key) is job:
            del job.function.uniques[job.key]

    def find_unique(self, unique: bytes) -> Job | None:
        """Return a job with that unique, whatever its function."""
        found = (function.uniques.get(unique) for function in self.functions.values())
        return next((job for job in found if job is not None), None)

    # Time

    @property
    def next_due(self) -> float | None:
        """When `run_due` should be called, in seconds since the epoch; None for never."""
        return self._timers.next_due

    def run_due(self) -> None:
        """Do what the clock says is due: delayed jobs become runnable, overlong ones fail."""
        self._timers.run_due(self._clock())


def _unique_key(unique: bytes, data: bytes) -> UniqueKey:
    if unique != b"-":
        return unique
    return (data,) if data else NO_UNIQUE


def _handles(host: str) -> Iterator[bytes]:
    prefix = b"H:" + host.encode("ascii", "replace")[:_HOST_BYTES].replace(b" ", b"-") + b":"
    return (b"%b%d" % (prefix, number) for number in count(1))
