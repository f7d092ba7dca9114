"""A project with a supervisord and a job server, and jobs that tell when they begin and end."""

from __future__ import annotations

import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, Self

from gearfleet.gearman import GearmanClient
from tests.support.crews import EXTENSION
from tests.support.processes import GEARFLEET, clean_environment, run
from tests.support.supervisord import Supervisord
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

TASKS = """\
import pathlib, time
from gearfleet import task

DIARY = pathlib.Path(__file__).parents[2] / "diary"

@task(queue="{queue}")
def {name}(number: int, seconds: float) -> None:
    with DIARY.open("a") as diary:
        diary.write(f"begin {{number}}\\n")
    end = time.monotonic() + seconds
    while time.monotonic() < end and not DIARY.with_name("enough").exists():
        time.sleep(0.01)
    with DIARY.open("a") as diary:
        diary.write(f"end {{number}}\\n")
"""


class Site:
    """A project, its supervisord, and the gearmand that both use."""

    def __init__(self, folder: Path, server: str, *, python: str, extension: bool = True) -> None:
        self.folder = folder
        self.server = server
        self.package = f"mill{folder.name.replace('-', '_')}"
        (folder / self.package / "gearman_workers").mkdir(parents=True)
        for package in (folder / self.package, folder / self.package / "gearman_workers"):
            (package / "__init__.py").touch()
        self.module("worker_bar", "bar", "grind")
        self.daemon = Supervisord(python=python, sections=EXTENSION if extension else "")
        self.diary = folder / "diary"
        self.diary.touch()

    def __enter__(self) -> Self:
        self.daemon.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.daemon.close()

    def reset(self) -> Self:
        """Have two workers again that run, whatever a test has left."""
        workers = self.folder / self.package / "gearman_workers"
        for path in workers.glob("*.py"):
            if path.name not in {"__init__.py", "worker_bar.py"}:
                path.unlink()
        (self.folder / "enough").unlink(missing_ok=True)
        self.diary.write_text("")
        self.settings()
        self.applied("--force")
        self.daemon.wait_until_running("bar")
        return self

    def module(self, name: str, queue: str, task: str) -> Path:
        path = self.folder / self.package / "gearman_workers" / f"{name}.py"
        path.write_text(TASKS.format(queue=queue, name=task))
        return path

    def settings(self, processes: int = 2, more: str = "") -> None:
        (self.folder / "gearfleet.toml").write_text(
            f'apps = ["{self.package}"]\nservers = ["{self.server}"]\n'
            f'run_dir = "{self.folder}/run"\n[fleet]\nstartsecs = 1\n'
            f"[queues.bar]\nprocesses = {processes}\n{more}\n"
        )

    def words(self, *words: str) -> list[str | Path]:
        """Return the words of an `apply`."""
        places = ["-o", self.daemon.conf_d, "-c", self.daemon.config]
        return [*GEARFLEET, "apply", *places, *words]

    def scale(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [*GEARFLEET, "scale", "-c", self.daemon.config, *words]
        return run(command, cwd=self.folder, env=clean_environment())

    def apply(self, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
        return run(self.words(*words), cwd=self.folder, env=clean_environment(**env))

    def applied(self, *words: str) -> dict[str, Any]:
        done = self.apply("--json", *words)
        assert done.returncode == 0, done.stdout + done.stderr
        told: dict[str, Any] = json.loads(done.stdout)
        return told

    def pids(self) -> dict[str, int]:
        return {name: info["pid"] for name, info in self.daemon.processes().items()}

    def submit(self, number: int, seconds: float = 0.02, task: str = "worker_bar.grind") -> None:
        with GearmanClient([self.server]) as client:
            data = json.dumps({"args": [number, seconds]}).encode()
            client.submit_job(f"{self.package}.{task}", data, background=True)

    def enough(self) -> None:
        """End the jobs that run now, and those that begin from now on."""
        (self.folder / "enough").touch()

    def lines(self) -> list[str]:
        return self.diary.read_text().splitlines()

    def assert_nothing_to_update(self) -> None:
        """Hold that supervisord runs what the files say, as `supervisorctl reread` finds out."""
        assert self.daemon.rpc().supervisor.reloadConfig() == [[[], [], []]]

    def assert_stock_update_does_nothing(self) -> None:
        before = self.pids()
        assert self.daemon.ctl("reread").stdout == "No config updates to processes\n"
        assert self.daemon.ctl("update").stdout == ""
        assert self.pids() == before


class Load:
    """Submits jobs all the time; in the end each must have been run once, from begin to end."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._known = len(site.lines())
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._submit)
        self.count = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        if kind is None:
            wait_for(lambda: len(self._news()) >= 2 * self.count, "all jobs to be done")
            wanted = {f"{word} {n}": 1 for n in range(self.count) for word in ("begin", "end")}
            assert Counter(self._news()) == wanted

    def wait_for_more(self, count: int = 5) -> None:
        """Wait until so many further jobs have been submitted, and some were done."""
        submitted, done = self.count + count, len(self._news()) + count
        wait_for(lambda: self.count >= submitted and len(self._news()) >= done, "some load")

    def _news(self) -> list[str]:
        return self._site.lines()[self._known :]

    def _submit(self) -> None:
        while not self._stop.wait(0.02):
            self._site.submit(self.count)
            self.count += 1
