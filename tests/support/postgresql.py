"""A PostgreSQL of the tests' own: in a temporary directory, on a unix socket, as nobody."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.support.processes import living_in
from tests.support.users import NOBODY
from tests.support.waiting import wait_for

INSTALL = "needs PostgreSQL and psycopg: apt-get install postgresql, pip install 'psycopg[binary]'"


class PostgreSQL:
    """A server that may be stopped and started again; it has the database ``postgres``."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gf-pg-"))
        # It refuses to run as root.
        self._user = NOBODY if os.geteuid() == 0 else None
        if self._user is not None:
            os.chown(self.folder, NOBODY, NOBODY)
        self._is_made = False

    @property
    def django(self) -> dict[str, object]:
        """The entry of Django's DATABASES."""
        return {
            "ENGINE": "django.db.backends.postgresql",
            "NAME": "postgres",
            "USER": "postgres",
            "HOST": str(self.folder),
            "CONN_MAX_AGE": None,
        }

    @property
    def is_running(self) -> bool:
        return self._pid_file.exists()

    @property
    def _pid_file(self) -> Path:
        return self.folder / "data" / "postmaster.pid"

    def start(self) -> PostgreSQL:
        if not self._is_made:
            self._run("initdb", "--username=postgres", "--auth=trust", "--no-sync")
            self._is_made = True
        options = f"-k {self.folder} -c listen_addresses= -F -c max_connections=30"
        self._run("pg_ctl", "start", "-w", "-l", str(self.folder / "log"), "-o", options)
        return self

    def stop(self) -> None:
        """End it and every connection to it."""
        self._run("pg_ctl", "stop", "-w", "-m", "fast")

    def kill(self) -> None:
        """Kill it, as the system does that is out of memory; what it was for is gone with it."""
        pid = int(self._pid_file.read_text().split()[0])
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        os.kill(pid, signal.SIGKILL)
        # Each of them has a session of its own, and ends when it sees that the first is gone.
        sessions = {pid, *map(int, children)}
        wait_for(lambda: not living_in(sessions), "the processes of PostgreSQL to end")
        # They name a process which is there until somebody asks how it ended.
        self._pid_file.unlink()
        (self.folder / ".s.PGSQL.5432.lock").unlink()

    def close(self) -> None:
        if self.is_running:
            self._run("pg_ctl", "stop", "-w", "-m", "immediate")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _run(self, program: str, *options: str) -> None:
        # Whoever runs the tests may stand where nobody may not be.
        done = subprocess.run(
            [_program(program), *options, "-D", str(self.folder / "data")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            cwd=self.folder,
            user=self._user,
            group=self._user,
            extra_groups=None if self._user is None else [],
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (program, options, done.stderr)


def _program(name: str) -> str:
    """Return where a program of PostgreSQL is; without it skip here, and fail in CI."""
    of_debian = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))
    found = str(of_debian[-1]) if of_debian else shutil.which(name)
    try:
        import psycopg  # noqa: F401
    except ImportError:
        found = None
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail(INSTALL)
        pytest.skip(INSTALL)
    return found
