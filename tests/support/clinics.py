"""A whole fleet for the doctor to look at: a project, its workers, supervisord, a job server."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from gearfleet import Client
from gearfleet.config import Settings
from tests.support.crews import PLUGIN
from tests.support.job_servers import JobServer
from tests.support.processes import GEARFLEET, clean_environment, run
from tests.support.supervisord import Supervisord

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

TASKS = """\
from gearfleet import task

@task(queue="{queue}", time_limit=30)
def {name}(value):
    return value
"""

SETTINGS = """\
apps = ["mill"]
servers = ["{server}"]
release = "r1"
run_dir = "run"

[fleet]
startsecs = 1

[queues.bar]
processes = 2

[queues.foo]
startretries = 0
executable = ["{folder}/run.sh"]
"""

#: What starts the workers of queue foo; one that fails at once makes them FATAL.
RUN = """\
#!/bin/sh
exec {python} -m gearfleet "$@"
"""


class Clinic:
    """One fleet, running and in order; tests break it and leave it as it was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.settings = folder / "gearfleet.toml"
        self.server = JobServer("gearmand")
        self.daemon = Supervisord(sections=PLUGIN.format(servers=self.server.address))
        self.client = Client(Settings(servers=(self.server.address,)))
        workers = folder / "mill" / "gearman_workers"
        workers.mkdir(parents=True)
        for package in (workers.parent, workers):
            (package / "__init__.py").touch()
        (workers / "worker_bar.py").write_text(TASKS.format(queue="bar", name="resize"))
        (workers / "worker_foo.py").write_text(TASKS.format(queue="foo", name="greet"))
        self.settings.write_text(SETTINGS.format(server=self.server.address, folder=folder))
        self.run = folder / "run.sh"
        self.run.write_text(RUN.format(python=sys.executable))
        self.run.chmod(0o755)

    def __enter__(self) -> Self:
        self.server.start()
        done = self.gearfleet("render", "-o", self.daemon.conf_d)
        assert done.returncode == 0, done.stderr
        self.daemon.start()
        self.wait_until_well()
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.daemon.close()
        self.server.close()

    def wait_until_well(self) -> None:
        """Wait until every worker runs, and the job server knows all of them."""
        self.daemon.wait_until_running()
        self.server.wait_for_workers("mill.worker_bar.resize", 2)
        self.server.wait_for_workers("mill.worker_foo.greet", 1)

    def gearfleet(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        return run([*GEARFLEET, *words], cwd=self.folder, env=clean_environment())

    def doctor(self, *words: str | Path) -> tuple[int, dict[str, Any]]:
        """Return the doctor's exit code and data; supervisord is this one's, unless `words` say."""
        where = () if {"-c", "--url"} & set(words) else ("-c", self.daemon.config)
        # Patient, because supervisorctl takes its time to start where the machine is busy.
        done = self.gearfleet("doctor", "--json", "--timeout", "30", *where, *words)
        assert done.stderr == ""
        return done.returncode, json.loads(done.stdout)

    def found(self, *words: str | Path) -> tuple[int, dict[str, dict[str, Any]]]:
        """Return the doctor's exit code, and its findings by code."""
        code, data = self.doctor(*words)
        return code, {each["code"]: each for each in data["findings"]}

    @contextmanager
    def changed(self, path: Path, old: str, new: str) -> Iterator[None]:
        """Have `new` instead of `old` in a file, inside the block."""
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))
        try:
            yield
        finally:
            path.write_text(text)

    def main(self, name: str, old: str, new: str) -> Path:
        """Return a copy of the main supervisord.conf with something changed."""
        text = self.daemon.config.read_text()
        assert old in text
        path = self.daemon.folder / name
        path.write_text(text.replace(old, new))
        return path
