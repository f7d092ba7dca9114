"""What the demo starts, all of it in one temporary directory: project, job server, supervisord."""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager
from importlib.resources import as_file, files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gearfleet.errors import GearfleetError, SupervisorError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from gearfleet.cli.output import Output
    from gearfleet.supervisor.control import Supervisor

T = TypeVar("T")

EXAMPLES = "gearfleet.examples"
SETTINGS = "shop_project.settings"
SCHEDULER = "scheduler"  # the group of the only process that is no worker
START_TIMEOUT = 60.0
STOP_TIMEOUT = 30.0
_CHECKOUT = Path(__file__).resolve().parents[3] / "examples"

SUPERVISORD_CONF = """\
[supervisord]
nodaemon=true
directory={folder}
logfile={folder}/supervisord.log
pidfile={folder}/supervisord.pid
childlogdir={folder}

[unix_http_server]
file={folder}/s.sock

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisorctl]
serverurl=unix://{folder}/s.sock

[include]
files={folder}/conf.d/*.conf

"""


class Stage:
    """The demo's project and processes; leaving the context ends and removes them."""

    def __init__(self, output: Output, *, servers: str | None, keep: bool) -> None:
        self.servers = servers or ""
        self.folder = Path()
        self.signing_key = secrets.token_hex(16)
        self._output = output
        self._keep = keep
        self._cleanup = ExitStack()
        self._pids: dict[str, int] = {}

    def __enter__(self) -> Self:
        # Short: the path of a unix socket ends at 108 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="gearfleet-demo-", dir="/tmp"))
        if not self._keep:
            self._cleanup.callback(shutil.rmtree, self.folder, ignore_errors=True)
        return self

    def __exit__(self, *failure: object) -> None:
        if self._keep and failure[0] is None:
            self._cleanup.pop_all()
        with _undisturbed():
            self._cleanup.close()

    @property
    def project(self) -> Path:
        """The directory of the copied example project."""
        return self.folder / "shop"

    @property
    def config(self) -> Path:
        """The main supervisord.conf."""
        return self.folder / "supervisord.conf"

    @property
    def farewell(self) -> str:
        """What ends the job server that a kept demo leaves behind, for a shell."""
        pid = self._pids.get("job-server")
        return f" && kill {pid}" if pid else ""

    @property
    def ledger(self) -> Path:
        """The file in which every finished piece of work stands."""
        return self.folder / "data" / "ledger.txt"

    def open_shop(self, orders: int) -> None:
        """Copy the example project and give it `orders` orders to work on."""
        _check_django()
        source = files(EXAMPLES) if find_spec(EXAMPLES) else _CHECKOUT
        with as_file(source / "shop") as shop:
            shutil.copytree(
                shop, self.project, ignore=shutil.ignore_patterns("__pycache__", "data")
            )
        self.manage("open_shop", "--orders", str(orders))

    def start_job_server(self) -> None:
        """Start the embedded job server, unless the user named others."""
        if self.servers:
            return
        command = [sys.executable, "-m", "gearfleet", "server", "--listen", "127.0.0.1:0"]
        log = self._start("job-server", command)
        self.servers = self._wait_for(lambda: _address_in(log), "the job server")
        self.show("gearfleet", "server", "--listen", self.servers)

    def configure(self) -> None:
        """Render the fleet and write the supervisord.conf that includes it."""
        (self.folder / "conf.d").mkdir()
        self.manage("gearfleet", "render", "-o", str(self.folder / "conf.d"))
        sections = self.manage("gearfleet", "supervisor-conf")
        self.config.write_text(SUPERVISORD_CONF.format(folder=self.folder) + sections)

    def start_supervisord(self) -> Supervisor:
        """Start supervisord; return it once every process is RUNNING and registered."""
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.config)]
        self.show("supervisord", "-c", str(self.config))
        self._start("supervisord", command)
        control = self.control()
        self._wait_for(lambda: _all_running(control), "all processes to be RUNNING")
        self._wait_for(
            lambda: _all_registered(control, self.servers), "all workers to be registered"
        )
        return control

    def control(self) -> Supervisor:
        """Return a new connection to supervisord; a thread needs one of its own."""
        from gearfleet.supervisor.control import Supervisor

        return Supervisor.from_config(self.config)

    def supervisorctl(self, *words: str) -> subprocess.Popen[str]:
        """Start supervisorctl; its output is read from the process's stdout."""
        self.show("supervisorctl", "-c", str(self.config), *words)
        return subprocess.Popen(
            [sys.executable, "-m", "supervisor.supervisorctl", "-c", str(self.config), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment(),
            start_new_session=True,
        )

    def beside(self, name: str) -> str:
        """Return the command `name` of our own Python, for a shell in which it is not on the path."""
        path = Path(sys.executable).with_name(name)
        return str(path) if path.exists() else name

    def environment(self) -> dict[str, str]:
        """Return the environment of everything that the demo starts."""
        return {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": SETTINGS,
            "SHOP_DATA": str(self.folder / "data"),
            "GEARFLEET_RUN_DIR": str(self.folder / "run"),
            "GEARFLEET_SIGNING_KEYS": self.signing_key,
            **({"GEARFLEET_SERVERS": self.servers} if self.servers else {}),
            **({} if find_spec(EXAMPLES) else {"PYTHONPATH": str(_CHECKOUT.parent)}),
        }

    def manage(self, *words: str) -> str:
        """Run the project's manage.py to its end and return what it printed."""
        self.show("python", "manage.py", *words)
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=self.project,
            env=self.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise GearfleetError(f"manage.py {shlex.join(words)} failed:\n{done.stderr.strip()}")
        return done.stdout

    def show(self, *words: str) -> None:
        """Show a command as the user would type it."""
        self._output.talk(f"\n$ {shlex.join(words)}")

    def _start(self, name: str, command: list[str]) -> Path:
        """Start a process that Ctrl-C in our terminal does not reach; return its log."""
        log = self.folder / f"{name}.out"
        with log.open("w") as out:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._pids[name] = process.pid
        self._cleanup.callback(_stop, process)
        return log

    def _wait_for(self, condition: Callable[[], T], what: str) -> T:
        deadline = time.monotonic() + START_TIMEOUT
        while not (value := _quietly(condition)):
            if time.monotonic() > deadline:
                raise GearfleetError(
                    f"Waited {START_TIMEOUT:g} s for {what}; see the logs in {self.folder} "
                    "(run the demo with --keep to keep them)"
                )
            time.sleep(0.05)
        return value


def _check_django() -> None:
    """Raise `GearfleetError` if the shop cannot be imported here."""
    if not (find_spec("django") and (find_spec("django.tasks") or find_spec("django_tasks"))):
        raise GearfleetError(
            "The demo runs a Django project that has some of Django's tasks, and this Python "
            "lacks them: pip install 'gearfleet[tasks]'"
        )


def _address_in(log: Path) -> str:
    """Return the address that the job server says it listens on, or nothing yet."""
    said = re.search(r"^Listening on (\S+)\n", log.read_text(), re.MULTILINE)
    return said[1] if said else ""


def _quietly(condition: Callable[[], T]) -> T | None:
    try:
        return condition()
    except (SupervisorError, OSError):
        return None  # not up yet


def _all_running(control: Supervisor) -> bool:
    processes = control.processes()
    return bool(processes) and all(process.state.name == "RUNNING" for process in processes)


def _all_registered(control: Supervisor, servers: str) -> bool:
    from gearfleet.config import split_list
    from gearfleet.supervisor.registrations import ask

    registered = {worker.pid for worker in ask(split_list(servers), lambda event: None)()}
    workers = {each.pid for each in control.processes() if each.group != SCHEDULER}
    return registered >= workers


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no second Ctrl-C leave half of the demo behind: cleaning up is bounded anyway."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End a process politely; with force when it does not listen."""
    process.terminate()
    try:
        process.wait(STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
