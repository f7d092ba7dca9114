"""A worker that keeps every result, in each kind of store, in interleaved rounds.

    python benchmarks/stores.py [--rounds 5] [--scale 1.0]

One ``gearfleet worker --prefetch 16`` with a full queue, from its first task to its
last, and none of the results is dropped (``save_limit = 0``): they are counted when
the worker has ended. The yardstick is the same worker without results, in the same
round. CPU is what its process used from the time at which it served, with the last
results written. gearmand and PostgreSQL have CPU 0, the worker CPU 1.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bed import (
    DRIVER_CPU,
    HERE,
    Failed,
    gearmand,
    machine,
    postgresql,
    ratio,
    row,
    run_driver,
    say,
    spread,
)
from project import Project

if TYPE_CHECKING:
    from collections.abc import Mapping

COUNT = 30_000
PREFETCH = 16
_PRAGMAS = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """One kind of store.

    Attributes:
        results: the setting.
        database: in which a Django project has it; empty for one without Django.
        wanted: jobs per second that gearfleet has to reach; None for no claim.
    """

    title: str
    results: str
    database: str = ""
    wanted: int | None = None


NONE = Store(title="no results", results="none")
STORES = (
    NONE,
    Store(title="SQLite file (WAL)", results="sqlite", wanted=8_000),
    Store(title="Django, no results", results="none", database="sqlite"),
    Store(title="Django, SQLite (WAL)", results="django", database="sqlite", wanted=8_000),
    Store(title="Django, PostgreSQL", results="django", database="postgresql", wanted=5_000),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one run has shown: jobs per second, and microseconds of CPU for each."""

    rate: float
    cpu_us: float


def measure(store: Store, count: int, folder: Path, port: int, server: str | None) -> Figures:
    """Run a worker with `count` jobs and this store.

    Raises:
        Failed: it did not run them all, or a result is missing.
    """
    project = Project(
        folder, port, results=store.results, cpu=DRIVER_CPU, settings=("save_limit = 0",)
    )
    project.submit("many.py", str(count))
    if store.database:
        _use_django(project, _database(store, project, server))
    rate = project.drain(count, PREFETCH)
    if store.results != "none":
        _check(store, project, count)
    return Figures(rate=rate, cpu_us=project.cpu_seconds * 1e6 / count)


def _use_django(project: Project, database: Mapping[str, Any]) -> None:
    settings = project.env.pop("GEARFLEET_CONFIG")
    project.env |= {
        "BENCH_PROJECT": settings,
        "BENCH_DATABASE": json.dumps(database),
        "DJANGO_SETTINGS_MODULE": "noop.settings",
    }
    for words in (("migrate", "gearfleet", "zero"), ("migrate",)):
        project.call("-m", "django", *words, "--verbosity", "0")


def _database(store: Store, project: Project, server: str | None) -> dict[str, Any]:
    """Return the entry of DATABASES, as the documentation advises."""
    if store.database == "sqlite":
        name = str(project.folder / "db.sqlite3")
        options = {"timeout": 20, "init_command": _PRAGMAS}
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": name, "OPTIONS": options}
    access = {"HOST": server, "NAME": "postgres", "USER": "postgres", "CONN_MAX_AGE": None}
    return {"ENGINE": "django.db.backends.postgresql", **access}


def _check(store: Store, project: Project, count: int) -> None:
    found = run_driver([sys.executable, str(HERE / "kept.py")], project.env)["kept"]
    if found != count:
        raise Failed(f"{store.title}: {found} results are kept instead of {count}")


def line(store: Store, found: list[Figures], yardstick: list[Figures]) -> str:
    """Return a line of the table."""
    rates = [each.rate for each in found]
    cpu = statistics.median(each.cpu_us for each in found)
    wanted = "-"
    if store.wanted is not None:
        is_met = statistics.median(rates) >= store.wanted
        wanted = f"{store.wanted} {'met' if is_met else 'MISSED'}"
    to_none = ratio(rates, [each.rate for each in yardstick])
    return row([store.title, spread(rates), f"{cpu:.0f}", f"{to_none:.2f}", wanted])


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of jobs")
    args = parser.parse_args()
    count = max(1000, int(COUNT * args.scale))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        port = stack.enter_context(gearmand(folder))
        server = stack.enter_context(postgresql())
        if server is None:
            print("No PostgreSQL here (apt-get install postgresql, pip install 'psycopg[binary]')")
        stores = [each for each in STORES if each.database != "postgresql" or server]
        found: dict[Store, list[Figures]] = {each: [] for each in stores}
        print(f"{machine()}; {count} jobs", flush=True)
        for number in range(args.rounds):
            for store in stores:
                found[store].append(measure(store, count, folder, port, server))
            say(f"round {number + 1} of {args.rounds} done")
    print(row(["results", "jobs per second", "CPU us per job", "to no results", "wanted"]))
    print("|---|---|---|---|---|")
    print("\n".join(line(store, found[store], found[NONE]) for store in stores))


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(str(error))
