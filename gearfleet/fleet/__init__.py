"""The fleet: planned from tasks and settings, rendered, validated, installed.

    fleet = plan(registry, settings, host="web1", executable=default_executable())
    files = render(fleet)
    validate(fleet, files)
    changes = install(files, Path("/etc/supervisor/conf.d"))

Only `validate` and `install` touch the disk; nothing here opens a socket.
"""

from gearfleet.fleet.cpus import usable_cpus
from gearfleet.fleet.executable import default_executable
from gearfleet.fleet.findings import Finding, Severity
from gearfleet.fleet.install import Changes, install
from gearfleet.fleet.lint import lint
from gearfleet.fleet.model import Fleet, Group, Program
from gearfleet.fleet.plan import draft, options_of, plan
from gearfleet.fleet.programs import worker_flags
from gearfleet.fleet.render import refusal_line, render, render_one
from gearfleet.fleet.validate import validate

__all__ = [
    "Changes",
    "Finding",
    "Fleet",
    "Group",
    "Program",
    "Severity",
    "default_executable",
    "draft",
    "install",
    "lint",
    "options_of",
    "plan",
    "refusal_line",
    "render",
    "render_one",
    "usable_cpus",
    "validate",
    "worker_flags",
]
