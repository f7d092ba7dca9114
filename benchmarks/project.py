"""The project `noop` as a user would run it: a settings file, a client and a worker process."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from typing import TYPE_CHECKING

from bed import HERE, Failed, drain, rate_of, run_driver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_SETTINGS = """\
apps = ["noop"]
servers = ["127.0.0.1:{port}"]
prefix = "{name}."
results = "{results}"
run_dir = "run"
signing_keys = ["a key of the benchmarks"]
"""
_numbers = itertools.count()


class Project:
    """One run: settings and functions of its own, so that it sees no other run's jobs."""

    def __init__(
        self,
        folder: Path,
        port: int,
        *,
        results: str = "none",
        cpu: Sequence[str] = (),
        settings: Sequence[str] = (),
    ) -> None:
        """Use the gearmand at `port`.

        Args:
            folder: in which it has one of its own.
            port: of the job server.
            results: the setting.
            cpu: what goes before the commands to pin them.
            settings: further lines of the settings file.
        """
        name = f"run{next(_numbers)}"
        self.folder = folder / name
        self.folder.mkdir()
        #: CPU time of the last worker since it served.
        self.cpu_seconds = 0.0
        file = self.folder / "gearfleet.toml"
        text = _SETTINGS.format(port=port, name=name, results=results)
        file.write_text(text + "".join(f"{line}\n" for line in settings))
        self.env = {
            **os.environ,
            "GEARFLEET_CONFIG": str(file),
            # Another gearfleet that stands in PYTHONPATH is measured instead.
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
        }
        self._python = [*cpu, sys.executable]

    def submit(self, driver: str, *words: str) -> float:
        """Run a driver that submits jobs; return the jobs per second."""
        return rate_of(run_driver([*self._python, str(HERE / driver), *words], self.env))

    def call(self, *words: str) -> None:
        """Run Python with these words to its end."""
        command = [sys.executable, *words]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Failed(f"{' '.join(command)} failed:\n{done.stderr}")

    def drain(self, count: int, prefetch: int) -> float:
        """Run ``gearfleet worker`` until it has run `count` jobs; return the jobs per second."""
        words = ("worker", "-a", "noop", "-n", "tasks", "--prefetch", str(prefetch))
        command = [*self._python, "-m", "gearfleet", *words]
        rate, self.cpu_seconds = drain(command, self.folder, self.env, count)
        return rate
