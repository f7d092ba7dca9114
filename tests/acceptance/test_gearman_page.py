"""The page of the whole protocol: its examples run, and its tables name what exists."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from gearfleet import gearman
from gearfleet.gearman import GearmanAdminClient, GearmanJob, GearmanWorker
from tests.support import pages
from tests.support.processes import ROOT
from tests.support.running import running

if TYPE_CHECKING:
    import pytest

    from tests.support.job_servers import JobServer

PAGE = ROOT / "docs" / "reference" / "gearman-protocol.md"


def resize(worker: GearmanWorker, job: GearmanJob) -> bytes:
    worker.send_job_status(job, 1, 2)
    worker.send_job_data(job, b"half")
    return b"small " + job.data


def test_examples__run(own_job_server: JobServer, capsys: pytest.CaptureFixture[str]) -> None:
    worker = GearmanWorker([own_job_server.address])
    worker.register_task("resize", resize)
    names: dict[str, Any] = {}
    with running(worker):
        for block in pages.blocks(PAGE, "python"):
            exec(block.text.replace("127.0.0.1:4730", own_job_server.address), names)
    names["client"].close()
    said = capsys.readouterr().out
    assert said.startswith("1 of 2\nb'half'\ndone b'small photo'\nTrue False 0 0 0\n")
    assert "report 2 0 0" in said


def test_admin_table__names_what_exists() -> None:
    admin_table = pages.read(PAGE).split("## Admin commands")[1].split("\n## ")[0]
    methods = set(re.findall(r"`(\w+)\(", admin_table)) - {"GearmanAdminClient"}
    assert len(methods) > 12
    assert all(callable(getattr(GearmanAdminClient, name)) for name in methods)
    for name, fields in re.findall(r"`([A-Z]\w+)`: ([\w, ]+) \|", admin_table):
        known = set(dir(getattr(gearman, name)))
        assert set(fields.split(", ")) <= known, name
