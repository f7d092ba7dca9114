"""What the runners share: servers of their own, drivers as processes, and figures."""

from __future__ import annotations

import json
import os
import platform
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import ticks

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HERE = Path(__file__).parent
SERVER_CPU = ("taskset", "-c", "0")
DRIVER_CPU = ("taskset", "-c", "1")
#: A driver that takes longer is a failure, and is reported as one.
LIMIT = 60

_NOBODY = 65534

_PATH = f"{os.environ['PATH']}:/usr/sbin"


class Failed(Exception):
    """A driver or a worker ended with an error, or not in time."""


def run_driver(command: Sequence[str], env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """Run a driver to its end and return what it reports."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, check=False, env=env
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"{' '.join(command)} was not done after {LIMIT} s") from None
    if done.returncode:
        raise Failed(f"{' '.join(command)} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def rate_of(result: dict[str, Any]) -> float:
    """Return the jobs per second of a driver's report."""
    return float(result["count"] / result["seconds"])


class Drained(NamedTuple):
    """What a worker has shown: tasks per second, and the CPU time that it used since it served.

    That time has in it what a worker does when it ends; it is 0 where the task's module
    has not told when it served.
    """

    rate: float
    cpu_seconds: float


def drain(command: Sequence[str], folder: Path, env: Mapping[str, str], count: int) -> Drained:
    """Run a worker until it has run `count` tasks.

    The clock runs from the first to the last task, so a slow start costs nothing.
    """
    before = _cpu_of_children()
    counted, log = folder / "ticks", folder / "worker.log"
    counted.mkdir()
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**env, ticks.FOLDER: str(counted)},
            cwd=folder,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        _wait_for(count, counted, process, log)
    finally:
        _end(process)
    done, seconds = ticks.read(counted)
    if done != count:
        raise Failed(f"{' '.join(command)} ran {done} tasks instead of {count}")
    started = ticks.read_start(counted, process.pid)
    used = 0.0 if started is None else _cpu_of_children() - before - started
    return Drained((count - 1) / seconds, used)


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _wait_for(count: int, counted: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + LIMIT
    while ticks.read(counted)[0] < count:
        if process.poll() is not None or time.monotonic() > deadline:
            done = ticks.read(counted)[0]
            tail = "\n".join(log.read_text().splitlines()[-20:])
            raise Failed(f"{process.args!r} ran {done} of {count} tasks:\n{tail}")
        time.sleep(0.05)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(10)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def build_yardstick(folder: Path) -> str | None:
    """Compile the C program; None where a compiler or libgearman's headers are missing."""
    target = str(folder / "yardstick")
    command = ["cc", "-O2", "-o", target, str(HERE / "yardstick.c"), "-lgearman"]
    if (
        shutil.which("cc") is None
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        print("No libgearman here (apt-get install gcc libgearman-dev): nothing to compare with")
        return None
    return target


@contextmanager
def gearmand(folder: Path, cpu: Sequence[str] = SERVER_CPU) -> Iterator[int]:
    """Run gearmand, without persistence and on a CPU of its own; yield its port."""
    path = shutil.which("gearmand", path=_PATH)
    if path is None:
        raise SystemExit("needs gearmand: apt-get install gearman-job-server")
    port = _free_port()
    user = ("-u", "root") if os.geteuid() == 0 else ()
    words = ("-L", "127.0.0.1", "-p", str(port), "-l", "none", "-t", "4", "-P", str(folder / "pid"))
    with _serving([*cpu, path, *words, *user], port):
        yield port


@contextmanager
def redis(folder: Path) -> Iterator[int]:
    """Run Redis without persistence; yield its port."""
    port = _free_port()
    words = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no")
    with _serving(["redis-server", *words, "--dir", str(folder), "--logfile", "redis.log"], port):
        yield port


@contextmanager
def postgresql(cpu: Sequence[str] = SERVER_CPU) -> Iterator[str | None]:
    """Run PostgreSQL as it comes, on a CPU of its own; yield the folder of its socket.

    None where it, or the driver, is not here.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs or find_spec("psycopg") is None:
        yield None
        return
    folder = tempfile.mkdtemp(prefix="gf-pg-")
    # It refuses to run as root.
    user = _NOBODY if os.geteuid() == 0 else os.geteuid()
    os.chown(folder, user, -1)

    def run(program: str, *words: str) -> None:
        command = [*cpu, str(programs[-1] / program), *words, "-D", f"{folder}/data"]
        subprocess.run(
            command, cwd=folder, user=user, stdout=subprocess.DEVNULL, check=True, timeout=LIMIT
        )

    try:
        run("initdb", "--username=postgres", "--auth=trust", "--no-sync")
        listening = f"-k {folder} -c listen_addresses="
        run("pg_ctl", "start", "-w", "-l", f"{folder}/log", "-o", listening)
        try:
            yield folder
        finally:
            run("pg_ctl", "stop", "-w", "-m", "fast")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@contextmanager
def _serving(command: Sequence[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command)
    try:
        while process.poll() is None and not _answers(port):
            time.sleep(0.05)
        if process.returncode is not None:
            raise Failed(f"{' '.join(command)} ended with {process.returncode}")
        yield
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios within the rounds."""
    return statistics.median(a / b for a, b in zip(ours, theirs, strict=True)) if theirs else 0.0


def spread(rates: Sequence[float]) -> str:
    """Return the median with the smallest and the largest."""
    if not rates:
        return "-"
    digits = 1 if max(rates) < 100 else 0
    median, least, most = statistics.median(rates), min(rates), max(rates)
    return f"{median:.{digits}f} [{least:.{digits}f}-{most:.{digits}f}]"


def verdict(found: float, wanted: float) -> str:
    """Return what is wanted, and whether it was reached."""
    return f"{wanted:.2f} {'met' if found >= wanted else 'MISSED'}"


def row(cells: Sequence[str]) -> str:
    """Return a line of a table."""
    return f"| {' | '.join(cells)} |"


def say(progress: str) -> None:
    """Tell whoever watches, not the table."""
    print(progress, file=sys.stderr, flush=True)


def machine() -> str:
    """Return what the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    model = next(models, "unknown CPU")
    path = shutil.which("gearmand", path=_PATH) or "gearmand"
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    version = shown.stdout.split()
    return (
        f"{os.cpu_count()} x {model}, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}, gearmand {version[1] if len(version) > 1 else ''}"
    )
