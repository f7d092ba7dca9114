"""A pool under Supervisor: rendered from the settings, renewed by SIGHUP, stopped."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.processes import GEARFLEET, clean_environment, run
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.job_servers import JobServer
    from tests.support.supervisord import Supervisord

NAME = "foo:worker_foo_foo_00"
VERSION = '@task(queue="foo")\ndef version():\n    return "one", os.getppid()\n'


@pytest.fixture
def project(tmp_path: Path, gearmand: JobServer) -> Iterator[WorkerProject]:
    toml = "[queues.foo]\nprocesses = 3\nmode = 'pool'\n[queues.bar]\nprocesses = 0\n"
    made = WorkerProject(tmp_path, gearmand.address, more=VERSION, toml=toml)
    yield made
    made.close()


def test_program__is_one_process_that_serves_with_all_its_workers(
    project: WorkerProject, gearmand: JobServer, supervisord: Supervisord
) -> None:
    rendered = run(
        [*GEARFLEET, "render", "-o", supervisord.conf_d],
        cwd=project.folder,
        env=clean_environment(GEARFLEET_RUN_DIR=str(project.run_dir)),
    )
    assert rendered.returncode == 0, rendered.stderr
    supervisord.start()
    version = project.function("version")
    gearmand.wait_for_workers(version, 3)
    supervisord.wait_until_running("foo")
    (info,) = supervisord.processes().values()
    assert project.submit("version").result() == ("one", info["pid"])

    module = project.folder / project.package / "gearman_workers/worker_foo.py"
    module.write_text(module.read_text().replace('"one"', '"three"'))
    assert supervisord.ctl("signal", "HUP", NAME).returncode == 0
    wait_for(
        lambda: project.submit("version").result() == ("three", info["pid"]), "the new code to run"
    )

    began = supervisord.ctl("stop", NAME)
    assert began.returncode == 0, began.stdout
    (info,) = supervisord.processes().values()
    assert (info["statename"], info["exitstatus"]) == ("STOPPED", 0)
    assert gearmand.workers_of(version) == 0
