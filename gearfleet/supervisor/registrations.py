"""Which processes the job servers know.

A worker names itself there as `gearfleet/<host>/<program>/<pid>/<release>`. A
restarted process serves jobs only when its new pid shows up; RUNNING alone
means no more than that it has not ended yet.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.errors import GearmanError
from gearfleet.gearman.protocol import MAX_CLIENT_ID_BYTES
from gearfleet.supervisor.events import JobServerSilent
from gearfleet.worker.client_ids import one_word, shown_host, shown_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gearfleet.supervisor.events import Report

PREFIX = "gearfleet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One worker at a job server.

    Attributes:
        host: on which it runs.
        program: that it belongs to, the first characters of a long one.
        pid: of the process.
        release: of its code; empty where nobody knows.
        is_cut: whether there was no room for the whole release.
    """

    host: str
    program: str
    pid: int
    release: str = ""
    is_cut: bool = False

    @classmethod
    def parse(cls, client_id: str) -> Registration | None:
        """Return what a client id says, or None when it is not a gearfleet worker's."""
        parts = client_id.split("/")
        if len(parts) < 4 or parts[0] != PREFIX or not parts[3].isdecimal():
            return None
        release = parts[4] if len(parts) > 4 and parts[4] != "-" else ""
        return cls(
            host=parts[1],
            program=parts[2],
            pid=int(parts[3]),
            release=release,
            is_cut=len(client_id) >= MAX_CLIENT_ID_BYTES,
        )

    def is_of(self, program: str, host: str) -> bool:
        """Return whether it is a worker of a program on a host, by their full names."""
        return (self.program, self.host) == (shown_program(program), shown_host(host))

    def has_release(self, release: str) -> bool:
        """Return whether it runs a release."""
        shown = one_word(release)
        return bool(self.release) and self.release in (
            shown,
            shown[: len(self.release)] if self.is_cut else shown,
        )


Registrations = frozenset[Registration]

#: Asks the job servers; nobody where there is none to ask.
Ask = Callable[[], Registrations]


def nobody() -> Registrations:
    """Answer that no process is known to a job server, so that RUNNING must do."""
    return frozenset()


def ask(servers: Sequence[str], report: Report, *, timeout: float = 3.0) -> Ask:
    """Return a function that asks `servers` ("host:port") for the workers with functions.

    A server that does not answer within `timeout` seconds is reported once and
    left out: the others say enough.
    """
    silent: set[str] = set()

    def asked() -> Registrations:
        found: set[Registration] = set()
        for server in servers:
            try:
                found.update(_registrations(server, timeout))
            except GearmanError as error:
                if server not in silent:
                    report(JobServerSilent(server=server, reason=str(error)))
                silent.add(server)
        return frozenset(found)

    return asked


def _registrations(server: str, timeout: float) -> Iterator[Registration]:
    from gearfleet.gearman import GearmanAdminClient

    with GearmanAdminClient([server], poll_timeout=timeout) as admin:
        workers = admin.workers()
    for worker in workers:
        registration = Registration.parse(worker.client_id)
        # Before its functions are there, a worker gets no job.
        if registration and worker.functions:
            yield registration
