"""The guides for the users of the older projects: their code runs, in a project of the old style."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from tests.originals.projects import make_project, starting
from tests.support import pages
from tests.support.processes import ROOT, run

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.job_servers import JobServer

GUIDES = ROOT / "docs" / "how-to"

#: Runs the examples of a guide as one session, and fails with what came instead.
SESSION = """\
import doctest, sys
import django
django.setup()
text = sys.stdin.read()
test = doctest.DocTestParser().get_doctest(text, {}, "guide", None, 0)
sys.exit(doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed != 0)
"""


@pytest.mark.parametrize(
    ("guide", "servers", "command"),
    [
        ("jbox", "GEARMAN_CLIENT_SERVERS", "gearman_worker -a myapp -n worker_foo"),
        ("django-gearman", "GEARMAN_SERVERS", "gearman_worker -w 2"),
        ("ztask", "GEARMAN_SERVERS", "ztaskd --noreload"),
        ("django-q", "GEARMAN_SERVERS", "gearman_worker"),
    ],
)
def test_guide__its_code_runs(
    tmp_path: Path, own_job_server: JobServer, guide: str, servers: str, command: str
) -> None:
    page = GUIDES / f"{guide}.md"
    project = make_project(tmp_path, own_job_server.address, {})
    project.add_settings(f'del GEARFLEET\n{servers} = ["{own_job_server.address}"]\n')
    for block in pages.blocks(page, "python"):
        first, _, code = block.text.partition("\n")
        (tmp_path / first.removeprefix("# ")).write_text(code)
    session = "\n".join(block.text for block in pages.blocks(page, "pycon"))
    assert session.count(">>>") > 4
    with starting(project) as start:
        worker = start(*command.split())
        worker.wait_for_output("ready for jobs")
        done = run(
            [sys.executable, "-W", "error", "-c", SESSION],
            cwd=tmp_path,
            env={**project.environment, "DJANGO_SETTINGS_MODULE": "settings"},
            stdin=session,
        )
        assert done.returncode == 0, f"{done.stdout}{done.stderr}\n{worker.output()}"
