"""The parent of a pool: what it has to be, before it has anybody to look after."""

from __future__ import annotations

import subprocess
import sys

IMPORTS = """
import sys
import gearfleet.cli.worker, gearfleet.worker.logs, gearfleet.worker.pool.parent, gearfleet.worker.titles
print({"gearfleet.gearman", "gearfleet.tasks", "gearfleet.worker.process"} & set(sys.modules))
"""


def test_imports__are_only_what_a_process_without_tasks_needs() -> None:
    command = [sys.executable, "-c", IMPORTS]
    assert subprocess.run(command, capture_output=True, check=True).stdout.strip() == b"set()"
