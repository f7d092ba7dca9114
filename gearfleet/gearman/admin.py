"""`GearmanAdminClient`: what one job server says of its functions and workers."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gearfleet import errors
from gearfleet.gearman.addresses import parse_all
from gearfleet.gearman.connection import Connection
from gearfleet.gearman.dial import CONNECT_TIMEOUT
from gearfleet.gearman.jobs import to_bytes
from gearfleet.gearman.limits import either
from gearfleet.gearman.protocol import (
    MAX_HANDLE_BYTES,
    Command,
    PacketReader,
    check_function_name,
    encode,
)
from gearfleet.gearman.text import (
    parse_jobs,
    parse_ok,
    parse_priorities,
    parse_status,
    parse_uniques,
    parse_version,
    parse_workers,
    refusal,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self, TypeVar

    from gearfleet.gearman.addresses import AddressLike
    from gearfleet.gearman.protocol import Packet
    from gearfleet.gearman.text import (
        FunctionStatus,
        KnownJob,
        PriorityStatus,
        Version,
        WorkerStatus,
    )

    T = TypeVar("T")

POLL_TIMEOUT = 10.0

_PING = b"gearfleet ping"
#: `show jobs` of a million jobs has 25 MiB.
_MAX_ANSWER_BYTES = 32 * 1024 * 1024


class GearmanAdminClient:
    """Asks one job server; every call ends within `poll_timeout` seconds.

    The methods with plain names return typed values, the `get_` and `send_` methods
    python-gearman's dicts and text. Not to be shared between threads.

    Every method raises ServerUnavailable if the job server cannot be reached,
    InvalidAdminClientState if it does not answer in time or goes away, and
    ServerError if it refuses what was asked.

    Example:
        with GearmanAdminClient(["127.0.0.1:4730"]) as admin:
            backlog = {row.function: row.waiting for row in admin.status()}
    """

    def __init__(
        self,
        host_list: AddressLike | Iterable[AddressLike] | None = None,
        poll_timeout: float | None = None,
        *,
        timeout: float | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
    ) -> None:
        """Remember the job server; connect at the first call.

        Args:
            host_list: "host", "host:port", "[v6]:port", (host, port) or a dict.
            poll_timeout: seconds for each call; None means 10.
            timeout: another name for it.
            connect_timeout: how many of them connecting may take.

        Raises:
            LocalProtocolError: (a ValueError) not exactly one address.
        """
        addresses = parse_all(host_list)
        if len(addresses) != 1:
            raise errors.LocalProtocolError(
                f"An admin client asks exactly one job server, got {len(addresses)}"
            )
        self.address = addresses[0]
        limit = either(poll_timeout, timeout)
        self._timeout = POLL_TIMEOUT if limit is None else limit
        self._connect_timeout = connect_timeout
        self._connection: Connection | None = None
        self._reader = PacketReader()

    def status(self) -> tuple[FunctionStatus, ...]:
        """Return the functions that the job server knows, sorted by name."""
        return parse_status(self._ask_list(b"status"))

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Return the connections of the job server: workers, clients and this one."""
        return parse_workers(self._ask_list(b"workers"))

    def priority_status(self) -> tuple[PriorityStatus, ...]:
        """Return how many jobs of each priority wait, sorted by function."""
        return parse_priorities(self._ask_list(b"prioritystatus"))

    def jobs(self) -> tuple[KnownJob, ...]:
        """Return every job that the job server has."""
        return parse_jobs(self._ask_list(b"show jobs"))

    def unique_jobs(self) -> tuple[str, ...]:
        """Return the unique of every job that the job server has."""
        try:
            return parse_uniques(self._ask_list(b"show unique jobs"))
        finally:
            # A unique that is a dot looks like the end, and the rest would follow.
            self.close()

    def version(self) -> Version:
        """Return the version of the job server."""
        return parse_version(self._ask_line(b"version"))

    def getpid(self) -> int:
        """Return the process id of the job server."""
        answer = parse_ok(self._ask_line(b"getpid"))
        if not (answer.isascii() and answer.isdigit() and len(answer) < 20):
            raise self._misfit(b"getpid", answer)
        return int(answer)

    def verbose(self) -> str:
        """Return the log level of the job server, such as "ERROR"."""
        return parse_ok(self._ask_line(b"verbose"))

    def cancel_job(self, handle: str | bytes) -> bool:
        """Take a queued job out of its queue; return False if there is no such job.

        A running job is not stopped, though its clients are told that it failed.
        gearmand holds the unique of a cancelled job until a worker has asked, and
        loses what is submitted with it until then, so never use it again (F3).
        """
        name = to_bytes(handle)
        if not 0 < len(name) <= MAX_HANDLE_BYTES or len(name.split()) != 1:
            raise errors.LocalProtocolError(f"{handle!r} is no handle of a job")
        try:
            self._do(b"cancel job " + name)
        except errors.ServerError as error:
            if error.code != "UNKNOWN_JOB":
                raise
            return False
        return True

    def create_function(self, function: str | bytes) -> None:
        """Make the function known to the job server, so that `maxqueue` can limit it."""
        self._do(b"create function " + _checked(function))

    def drop_function(self, function: str | bytes) -> bool:
        """Forget a function; return False if there is none of that name.

        gearmand leaves queued jobs of a dropped function behind, where they never
        run and keep their uniques. So this looks first; a job that is submitted
        between the look and the drop is lost nevertheless.

        Raises:
            FunctionInUse: it has jobs or workers.
        """
        name = _checked(function)
        rows = {to_bytes(row.function): row for row in self.status()}
        if name not in rows:
            return False
        # gearmand drops the first function that matches without regard to case.
        _refuse_if_used(row for known, row in rows.items() if known.lower() == name.lower())
        try:
            self._do(b"drop function " + name)
        except errors.ServerError as error:
            raise errors.FunctionInUse(f"Function {function!r} is not dropped: {error}") from error
        return True

    def maxqueue(self, function: str | bytes, *limits: int) -> None:
        """Limit how many jobs a function may have; a submit beyond that is refused.

        One limit is for all priorities, three are for HIGH, NORMAL and LOW, none
        lifts the limit; 0 is no limit. Each is compared with all jobs of the function,
        running ones and those of other priorities included. A job server
        forgets its limits when it is restarted.
        """
        name = _checked(function)
        if len(limits) not in {0, 1, 3}:
            # gearmand takes two, and leaves LOW unlimited.
            raise errors.LocalProtocolError(
                f"maxqueue takes one limit, or those of HIGH, NORMAL and LOW, got {limits}"
            )
        if any(not 0 <= limit < 2**31 for limit in limits):
            raise errors.LocalProtocolError(f"A limit is 0 (none) or more, got {limits}")
        self.create_function(name)  # for one that does not exist nothing is remembered
        words = [b"maxqueue", name, *(b"%d" % limit for limit in limits)]
        self._do(b" ".join(words))

    def ping_server(self) -> float:
        """Return the seconds that an ECHO takes."""
        began = time.monotonic()
        question = encode(Command.ECHO_REQ, _PING)
        packet = self._ask(question, self._next_packet)
        if packet != (Command.ECHO_RES, (_PING,)):
            raise self._misfit(b"an ECHO", packet)
        return time.monotonic() - began

    def get_status(self) -> tuple[dict[str, Any], ...]:
        """Return python-gearman's dicts: task, queued (running ones included), running, workers."""
        return tuple(
            {
                "task": row.function,
                "queued": row.total,
                "running": row.running,
                "workers": row.workers,
            }
            for row in self.status()
        )

    def get_workers(self) -> tuple[dict[str, Any], ...]:
        """Return python-gearman's dicts: file_descriptor, ip, client_id, tasks."""
        return tuple(
            {
                "file_descriptor": str(row.file_descriptor),
                "ip": row.ip,
                "client_id": row.client_id,
                "tasks": row.functions,
            }
            for row in self.workers()
        )

    def get_version(self) -> str:
        """Return the version as text."""
        return self.version().text

    def get_pid(self) -> str:
        """Return python-gearman's text: "OK", a space and the process id."""
        return f"OK {self.getpid()}"

    def get_jobs(self) -> tuple[dict[str, Any], ...]:
        """Return a dict for each job: handle, retries, ignored, background.

        python-gearman's names for the last three, which are wrong, are there too:
        queued, canceled, enabled.
        """
        return tuple(
            {
                "handle": row.handle,
                "retries": row.retries,
                "ignored": int(row.ignored),
                "background": int(row.background),
                "queued": row.retries,
                "canceled": int(row.ignored),
                "enabled": int(row.background),
            }
            for row in self.jobs()
        )

    def get_unique_jobs(self) -> tuple[list[str], ...]:
        """Return python-gearman's lists: one for each job, with its unique."""
        return tuple([unique] for unique in self.unique_jobs())

    def send_maxqueue(self, task: str | bytes, max_size: int) -> str:
        """Limit the jobs of a function as `maxqueue` does; return "OK"."""
        self.maxqueue(task, max_size)
        return "OK"

    def send_shutdown(self, graceful: bool = True) -> str:
        """Ask the job server to end; return its answer.

        Raises:
            ServerError: it does not do that on request. gearmand has had no such command
                since 2016: send SIGTERM to its process, or SIGUSR1 to let it finish its jobs.
        """
        try:
            return parse_ok(self._ask_line(b"shutdown graceful" if graceful else b"shutdown"))
        except errors.ServerError as error:
            number = "SIGUSR1" if graceful else "SIGTERM"
            raise errors.ServerError(
                error.code,
                f"Job server {self.address} cannot be shut down by a client (gearmand removed "
                f"the command in 2016); send {number} to its process, see getpid()",
            ) from error

    def close(self) -> None:
        """Close the connection; the next call opens another one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._reader = PacketReader()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask_list(self, command: bytes) -> list[bytes]:
        # Always \r\n: gearmand cuts the last letter of some commands without \r.
        lines: list[bytes] = []

        def take() -> list[bytes] | None:
            while (line := self._reader.next_line()) is not None:
                if line == b".":
                    return lines
                if not lines and (refused := refusal(line)):
                    raise refused
                lines.append(line)
            return None

        return self._ask(command + b"\r\n", take)

    def _ask_line(self, command: bytes) -> bytes:
        return self._ask(command + b"\r\n", self._next_line)

    # The reader is another one after each `close`, so it is looked up when something came.

    def _next_line(self) -> bytes | None:
        return self._reader.next_line()

    def _next_packet(self) -> Packet | None:
        return self._reader.next_packet()

    def _do(self, command: bytes) -> None:
        answer = self._ask_line(command)
        if parse_ok(answer) or not answer.startswith(b"OK"):
            raise self._misfit(command, answer)

    def _misfit(self, command: bytes, answer: object) -> errors.InvalidAdminClientState:
        self.close()
        return errors.InvalidAdminClientState(
            f"Job server {self.address} answered {command.decode()} with {answer!r}"
        )

    def _ask(self, question: bytes, take: Callable[[], T | None]) -> T:
        """Send `question`, and read until `take` makes an answer of what came."""
        deadline = time.monotonic() + self._timeout
        connection = self._connected()
        received = 0
        try:
            connection.send_all(question, deadline=deadline)
            while (answer := take()) is None:
                left = deadline - time.monotonic()
                if left <= 0:
                    raise errors.InvalidAdminClientState(
                        f"Job server {self.address} did not answer within {self._timeout:g} s"
                    )
                if chunk := connection.receive(left):
                    self._reader.feed(chunk)
                    received += len(chunk)
                if received > _MAX_ANSWER_BYTES:
                    raise errors.ProtocolError(f"Job server {self.address} does not stop talking")
        except errors.GearmanError as error:
            # A late answer must not be taken for the next one.
            self.close()
            if isinstance(error, errors.ConnectionError):
                raise errors.InvalidAdminClientState(str(error)) from error
            raise
        return answer

    def _connected(self) -> Connection:
        """Return the connection, a new one if the old one ended in the meantime."""
        if self._reader.buffered_bytes or (self._connection and self._connection.has_input()):
            self.close()
        if self._connection is None:
            timeout = min(self._connect_timeout, self._timeout)
            try:
                self._connection = Connection.open(self.address, timeout=timeout)
            except errors.ConnectionError as error:
                raise errors.ServerUnavailable(str(error)) from error
        return self._connection


def _checked(function: str | bytes) -> bytes:
    name = to_bytes(function)
    check_function_name(name)
    return name


def _refuse_if_used(rows: Iterable[FunctionStatus]) -> None:
    for row in rows:
        if row.total or row.workers:
            raise errors.FunctionInUse(
                f"Function {row.function} has {row.total} jobs and {row.workers} workers; "
                "stop the workers and let the jobs end, or cancel them"
            )
