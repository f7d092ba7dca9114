"""The project `noop` as a user would run it: a settings file, a client and a worker process."""

from __future__ import annotations

import itertools
import os
import sys
from typing import TYPE_CHECKING

from bed import HERE, drain, rate_of, run_driver

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
        self, folder: Path, port: int, *, results: str = "none", cpu: Sequence[str] = ()
    ) -> None:
        """Use the gearmand at `port`; `cpu` is what goes before the commands to pin them."""
        name = f"run{next(_numbers)}"
        self.folder = folder / name
        self.folder.mkdir()
        settings = self.folder / "gearfleet.toml"
        settings.write_text(_SETTINGS.format(port=port, name=name, results=results))
        self.env = {
            **os.environ,
            "GEARFLEET_CONFIG": str(settings),
            # Another gearfleet that stands in PYTHONPATH is measured instead.
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
        }
        self._python = [*cpu, sys.executable]

    def submit(self, driver: str, *words: str) -> float:
        """Run a driver that submits jobs; return the jobs per second."""
        return rate_of(run_driver([*self._python, str(HERE / driver), *words], self.env))

    def drain(self, count: int, prefetch: int) -> float:
        """Run ``gearfleet worker`` until it has run `count` jobs; return the jobs per second."""
        words = ("worker", "-a", "noop", "-n", "tasks", "--prefetch", str(prefetch))
        command = [*self._python, "-m", "gearfleet", *words]
        return drain(command, self.folder, self.env, count)
