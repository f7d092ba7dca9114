"""``gearfleet init``: a first settings file for the project in this directory, to be read and changed."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gearfleet.errors import UsageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.tasks import Registry

#: How deep a package may stand below the directory.
_DEPTH = 3
_SOURCES = ("src", ".")
_PASSED_OVER = frozenset({"build", "dist", "node_modules", "site-packages", "tests"})

TOML = """\
# The settings of gearfleet. What is behind a '#' without a space is an example, not yet in force.
# `gearfleet config` shows what counts; `gearfleet plan` shows the fleet that comes of it.

# Packages that are searched for worker modules.
apps = {apps}
{root}
# Job servers, in the order in which they are tried.
servers = {servers}

[fleet]
# How many workers each program has: a number, "cpu" for as many as there are CPUs, "cpu*2".
processes = 1
# How many seconds a stopping worker may finish its job.
drain_timeout = 60
# The account of the workers, and their log files.
#user = "www-data"
#stdout_logfile = "/var/log/gearfleet/%(program_name)s_%(process_num)02d.log"
# Variables of the workers; secrets stay in files, which each worker reads when it starts.
#environment = {{ LANG = "C.UTF-8" }}
#env_files = [".env"]

# The programs of one queue. Queues here: {queues}.
#[queues.{queue}]
#processes = 4
#mode = "pool"

# One program. Programs here: {programs}.
#[programs.{program}]
#time_limit = 300

# A program that is no worker.
#[programs.exporter]
#command = ["bin/exporter", "--listen", "127.0.0.1:9102"]

# What differs on one host; `--host NAME` chooses, by default the one called like this machine.
#[hosts.web1.queues.{queue}]
#processes = 8
"""

DJANGO = """\
# The settings of gearfleet: for your Django settings, {module}.
# `gearfleet config` shows what counts; `gearfleet plan` shows the fleet that comes of it.
GEARFLEET = {{
    # Job servers, in the order in which they are tried.
    "SERVERS": {servers},
    # Options of every program. "processes": a number, "cpu" for as many as there are CPUs, "cpu*2".
    "FLEET": {{"processes": 1, "drain_timeout": 60}},
    # The programs of one queue. Queues here: {queues}.
    #"QUEUES": {{{queue}: {{"processes": 4, "mode": "pool"}}}},
    # One program. Programs here: {programs}.
    #"PROGRAMS": {{{program}: {{"time_limit": 300}}}},
    # What differs on one host; `--host NAME` chooses.
    #"HOSTS": {{"web1": {{"QUEUES": {{{queue}: {{"processes": 8}}}}}}}},
}}
"""


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``init``."""
    verbs.add("init", init)


def init(args: argparse.Namespace, output: Output) -> int:
    """Write gearfleet.toml, or print the setting of a Django project."""
    from gearfleet.cli.project import load_project
    from gearfleet.tasks import discover

    if not _is_django(args):
        _refuse_second_file()
        base = _name_apps(args)
    project = load_project(args)
    found = _found(discover(project.apps), project.settings.servers)
    if project.django_settings:
        return _say(DJANGO.format(module=project.django_settings, **_quoted(found)), None, output)
    root = (
        '\n# Imports start there, and programs run there.\nroot = "src"\n' if base == "src" else ""
    )
    text = TOML.format(apps=json.dumps(args.app), root=root, **found)
    return _say(text, Path("gearfleet.toml"), output)


def _is_django(args: argparse.Namespace) -> bool:
    """Return whether it is a Django project; set its settings module if manage.py names it."""
    from gearfleet.cli.project import DJANGO as VARIABLE

    if getattr(args, "settings", None) or os.environ.get(VARIABLE):
        return True
    manage = Path("manage.py")
    named = manage.is_file() and re.search(
        rf"""{VARIABLE}["']\s*,\s*["']([\w.]+)["']""", manage.read_text(errors="replace")
    )
    if named:
        args.settings = named[1]
    return bool(named)


def _refuse_second_file() -> None:
    from gearfleet.config import load

    path = Path("gearfleet.toml")
    if path.exists():
        raise UsageError(f"{path.absolute()} exists, and is left as it is; see: gearfleet config")
    settings = load(environ={})
    if settings.has_origin:
        raise UsageError(f"{settings.origin} has settings already; see: gearfleet config")


def _name_apps(args: argparse.Namespace) -> str:
    """Set the apps, unless the command line does, and return the directory in which they stand."""
    if getattr(args, "app", None):
        return "."
    for base in _SOURCES:
        is_package = (Path(base) / "__init__.py").exists() and base != "."
        if not is_package and (apps := sorted(_apps_in(Path(base)))):
            args.app = apps
            sys.path.insert(0, str(Path(base).absolute()))
            return base
    raise UsageError(
        "No package here has a worker module (gearman_workers/*.py, gearman_jobs.py or tasks.py "
        "with @task): write one, or name the package with --app"
    )


def _apps_in(base: Path) -> Iterator[str]:
    """Yield the packages below `base` that have worker modules, without importing any."""
    for folder, names, files in os.walk(base):
        here = Path(folder).relative_to(base)
        names[:] = [name for name in names if name.isidentifier() and name not in _PASSED_OVER]
        if len(here.parts) >= _DEPTH:
            names.clear()
        if here.parts and (
            "gearman_workers" in names
            or {"gearman_workers.py", "gearman_jobs.py"} & {*files}
            or _declares_tasks(Path(folder) / "tasks.py")
        ):
            yield ".".join(here.parts)
        if "gearman_workers" in names:
            names.remove("gearman_workers")


def _declares_tasks(path: Path) -> bool:
    return path.is_file() and "gearfleet" in path.read_text(encoding="utf-8", errors="replace")


def _found(registry: Registry, servers: Sequence[str]) -> dict[str, Any]:
    """Return what the text says of the tasks; where there are none yet, what there may be."""
    from gearfleet.config import Settings, toml_key
    from gearfleet.fleet.slots import slots_of

    slots = slots_of(registry, Settings(), None)
    queues = sorted({slot.queue for slot in slots})
    programs = sorted({slot.short for slot in slots})
    return {
        "servers": json.dumps(servers),
        "queues": ", ".join(queues) or "none yet",
        "queue": toml_key((queues or ["bar"])[0]),
        "programs": ", ".join(programs) or "none yet",
        "program": toml_key((programs or ["worker_bar"])[0]),
    }


def _quoted(found: dict[str, Any]) -> dict[str, Any]:
    """Return the same for Python, where every key is in quotes."""
    keys = {key: json.dumps(found[key].strip('"')) for key in ("queue", "program")}
    return {**found, **keys}


def _say(text: str, path: Path | None, output: Output) -> int:
    if path:
        _write(path, text)
    if output.json:
        output.data({"file": str(path.absolute()) if path else None, "text": text})
    elif path:
        output.line(f"Wrote {path.absolute()}; try: gearfleet plan")
    else:
        output.document(text)
        output.talk("gearfleet: Nothing was written: put this into your Django settings.")
    return 0


def _write(path: Path, text: str) -> None:
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise UsageError(f"Cannot write {path.absolute()}: {error.strerror}") from error
