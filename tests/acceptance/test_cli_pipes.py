"""What a command says when its reader has gone: nothing, and 141, as one that SIGPIPE ended."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import GEARFLEET, ROOT, clean_environment

if TYPE_CHECKING:
    from collections.abc import Sequence


def without_reader(words: Sequence[str], **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command whose standard output nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            words,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            env={**clean_environment(), **environment},
            cwd=ROOT,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writer)


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["worker", "--help"],
        ["--version"],
        ["tasks", "--app", "examples.plain"],  # a table
        ["tasks", "--app", "examples.plain", "--json"],
        ["render", "--app", "examples.plain"],
    ],
    ids=" ".join,
)
def test_reader__that_is_gone_is_no_error(words: list[str]) -> None:
    done = without_reader([*GEARFLEET, *words], PYTHONUNBUFFERED="")
    assert (done.returncode, done.stderr) == (141, "")


def test_reader__of_the_plugin_that_is_gone_is_no_error(tmp_path: Path) -> None:
    config = tmp_path / "supervisord.conf"
    config.write_text(
        f"[supervisorctl]\nserverurl=unix://{tmp_path}/none.sock\n[ctlplugin:gearfleet]\n"
        "supervisor.ctl_factory = gearfleet.supervisor.ctlplugin:make_controllerplugin\n"
    )
    supervisorctl = Path(GEARFLEET[0]).with_name("supervisorctl")
    done = without_reader([str(supervisorctl), "-c", str(config), "gearfleet", "help"])
    assert (done.returncode, done.stderr) == (141, "")
