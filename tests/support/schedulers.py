"""A project with schedules, and scheduler processes for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.support.processes import GEARFLEET, Process, clean_environment, run
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from pathlib import Path

#: Jobs that say for when they were intended.
TASKS = """
from gearfleet import periodic

@task
def tick(when=None, tag=""):
    note(f"tick {tag} {when.isoformat() if when else ''}")
"""


class ScheduleProject(WorkerProject):
    """One whose settings may hold schedules, in `toml`."""

    def __init__(self, folder: Path, server: str, *, toml: str = "", more: str = "") -> None:
        super().__init__(folder, server, more=TASKS + more)
        self.name_schedules(toml)
        self._server = server

    def name_schedules(self, toml: str) -> None:
        """Write the settings anew; ``TICK`` in them is the name of the task."""
        text = toml.replace("TICK", self.function("tick"))
        (self.folder / "gearfleet.toml").write_text(
            f"apps = ['{self.package}']\nservers = {list(self.settings.servers)}\n{text}"
        )

    @property
    def environment(self) -> dict[str, str]:
        return clean_environment(GEARFLEET_RUN_DIR=str(self.run_dir), GEARFLEET_POLL="0.05")

    def scheduler(self, *options: str) -> Process:
        """Start a scheduler."""
        process = Process(
            [*GEARFLEET, "scheduler", *options],
            log=self.folder / f"scheduler.{len(self._processes)}.log",
            cwd=self.folder,
            env=self.environment,
        )
        self._processes.append(process)
        return process

    def scheduler_ready(self, *options: str) -> Process:
        """Start a scheduler and wait until it looks at schedules."""
        process = self.scheduler(*options)
        process.wait_for_output("Scheduler ready")
        return process

    def cli(self, *words: str) -> Any:
        """Run ``gearfleet schedule`` and return what it prints, or its error and exit code."""
        done = run(
            [*GEARFLEET, "schedule", *words, "--json"], cwd=self.folder, env=self.environment
        )
        if done.returncode:
            return done.returncode, done.stderr
        return json.loads(done.stdout)

    def listed(self) -> dict[str, Any]:
        """Return the schedules by name."""
        return {each["name"]: each for each in self.cli("list")}

    def ticks(self, tag: str) -> list[str]:
        """Return for when the jobs with `tag` that have run were intended."""
        words = [note.split(" ") for note in self.diary if note.startswith("tick ")]
        return [word[2] for word in words if word[1] == tag]
