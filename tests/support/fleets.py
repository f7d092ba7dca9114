"""Registries and fleets made by hand, as discovery would find them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gearfleet.config import Settings, read_settings
from gearfleet.fleet import plan
from gearfleet.tasks import App, Registry, Task, WorkerModule

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gearfleet.fleet import Fleet

#: Two queues, one module with both, one generic module.
SHOP = {
    "shop.gearman_workers.worker_bar": {"resize": "bar"},
    "shop.gearman_workers.worker_bar2": {"crop": "bar"},
    "shop.gearman_workers.worker_foo": {"report": "foo", "greet": "foo"},
    "mail.tasks": {"send": "foo", "digest": "nightly"},
}


def worker_module(path: str, tasks: Mapping[str, str]) -> WorkerModule:
    """Return the module `path` with `tasks`: queue by name."""
    app = path.removesuffix(".tasks").removesuffix(".gearman_jobs").partition(".gearman_workers")[0]
    return WorkerModule(
        app=App(name=app, label=app.rpartition(".")[2]),
        worker=path.rpartition(".")[2],
        module=path,
        tasks=tuple(_task(f"{app}.{name}", queue) for name, queue in tasks.items()),
    )


def _task(name: str, queue: str) -> Task[Any, Any]:
    return Task(_nothing, name=name, queue=queue, priority="normal")


def _nothing() -> None:
    """Stand in for the function of a task."""


def registry(modules: Mapping[str, Mapping[str, str]] = SHOP) -> Registry:
    return Registry(modules=tuple(worker_module(path, tasks) for path, tasks in modules.items()))


def settings(root: Path = Path("/srv/shop"), **table: Any) -> Settings:
    """Return the settings of `table`, with nothing from this machine in them."""
    return read_settings({"run_dir": "/run/gearfleet", **table}, root=root, origin="gearfleet.toml")


def fleet(
    modules: Mapping[str, Mapping[str, str]] = SHOP,
    *,
    host: str | None = None,
    root: Path = Path("/srv/shop"),
    **table: Any,
) -> Fleet:
    """Return the plan for `modules` under the settings of `table`."""
    return plan(
        registry(modules),
        settings(root, **table),
        host=host,
        executable=["/srv/shop/.venv/bin/gearfleet"],
    )


#: One program, for tests of its values.
ONE = {"shop.gearman_workers.worker_foo": {"greet": "foo"}}


def representative() -> Fleet:
    """Return the fleet of the golden files: every kind of value, some of them odd."""
    return fleet(
        host="web1",
        fleet={
            "name": "shop",
            "processes": 2,
            "stdout_logfile": "/tmp/%(program_name)s-%(process_num)02d-100%.log",
            "stdout_logfile_maxbytes": "10MB",
            "environment": {"LANG": "C.UTF-8", "MOTTO": 'say "hi", it; costs 5% é'},
        },
        queues={"bar": {"processes": 4, "drain_timeout": 120, "umask": "027"}},
        programs={
            "worker_foo": {
                "environment": {"LANG": "it's"},
                "executable": ["/opt/my tools/run", "50%", "a ; b", "it's", "%(here)s", ""],
                "autorestart": True,
                "user": "root",
                "directory": "/srv/100% shop;#1",
            }
        },
        hosts={"web1": {"programs": {"mail_tasks_nightly": {"processes": 1, "priority": 5}}}},
    )
