"""What a worker imports on its way to its first job, and what it leaves to who needs it."""

from __future__ import annotations

import subprocess
import sys

WAY = """
import sys
import gearfleet.cli.chosen, gearfleet.cli.output, gearfleet.cli.project, gearfleet.cli.worker
import gearfleet.worker.logs, gearfleet.worker.process
gearfleet.worker.hooks.select("shop")
print(*sys.modules)
"""

MODELS = """
import sys
import django
from django.conf import settings
settings.configure(INSTALLED_APPS=["gearfleet.contrib.django"])
django.setup()
import gearfleet.contrib.django.models
print(*sys.modules)
"""

#: What only some verbs, some tasks, or other programs need.
LEFT_OUT = {
    *("gearfleet.gearman.admin", "gearfleet.gearman.aio", "gearfleet.gearman.text"),
    *("gearfleet.cli.reload.child", "gearfleet.schedule"),
    *("asyncio", "importlib.metadata", "tomllib"),
}

#: What the workers of a pool share, because they would all import it soon after the fork.
SHARED = {
    *("gearfleet.gearman.client", "gearfleet.gearman.forms", "gearfleet.gearman.streams"),
    *("gearfleet.gearman.worker", "gearfleet.results.memory", "gearfleet.tasks.plans"),
}


def imported(script: str) -> set[str]:
    """Return the modules that are imported where `script` has run."""
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_worker__imports_what_it_needs_and_nothing_else() -> None:
    modules = imported(WAY)
    assert modules & LEFT_OUT == set()
    assert modules >= SHARED


def test_address__needs_neither_client_nor_worker() -> None:
    modules = imported("import sys, gearfleet.gearman.addresses; print(*sys.modules)")
    assert modules.isdisjoint({"gearfleet.gearman.client", "gearfleet.gearman.worker"})


def test_models__need_no_schedules() -> None:
    modules = imported(MODELS)
    assert "gearfleet.contrib.django.schedules.models" in modules
    assert not any(name.startswith("gearfleet.schedule.") for name in modules)
