"""``gearfleet info``: the job servers and queues now, and what ended in the last hour and day."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ResultStoreUnavailable

if TYPE_CHECKING:
    import argparse

    from gearfleet.cli.builder import Verbs
    from gearfleet.cli.output import Output
    from gearfleet.config import Settings
    from gearfleet.monitor.totals import Span, Totals
    from gearfleet.monitor.view import View
    from gearfleet.results import Retention

ENDED = (
    "in the last",
    "succeeded",
    "failed",
    "expired",
    "to be tried again",
    "rate",
    "mean run",
    "mean wait",
)


def add_verbs(verbs: Verbs) -> None:
    """Add the verb ``info``."""
    add_arguments(verbs.add("info", info))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    from gearfleet.cli.seen import add_timeout

    add_timeout(parser)
    parser.set_defaults(host=None, url=None, configuration=None)


def info(args: argparse.Namespace, output: Output) -> int:
    """Show what waits, what runs, and what has ended."""
    from gearfleet.cli.seen import exit_code, places_of
    from gearfleet.config import current
    from gearfleet.monitor.sample import take
    from gearfleet.monitor.view import view_of

    places, notices = places_of(args)
    view = view_of(take(places))
    settings = current()
    spans, silence = _counted(settings, view.now)
    if output.json:
        output.data(_as_data(view, spans, silence))
    else:
        _print(view, spans, output)
        for text in (*notices, *_remarks(spans, settings), *filter(None, [silence])):
            output.talk(text)
    return exit_code(view.servers)


def _counted(settings: Settings, now: float) -> tuple[tuple[Span, ...], str]:
    """Return what the result store has counted; nothing, and why, where it cannot."""
    from gearfleet.monitor.totals import count
    from gearfleet.results import Counting, open_store

    store = open_store(settings)
    if store is None or settings.results == "memory":
        kept = "not kept" if store is None else "kept in the memory of each worker"
        return (), f"Results are {kept} (the setting 'results'), so nobody counts what ended."
    if not isinstance(store, Counting):
        return (), f"The result store '{settings.results}' cannot count its records."
    path = getattr(store, "path", None)
    if isinstance(path, Path) and not path.exists():  # which to read would make
        return (), f"No job has ended yet: there is no {path}."
    try:
        return count(store, store.retention, now), ""
    except ResultStoreUnavailable as error:
        return (), str(error)
    finally:
        store.close()


def _print(view: View, spans: tuple[Span, ...], output: Output) -> None:
    from gearfleet.cli.top.tables import TABLES, plain

    for name in ("servers", "queues", "programs"):
        shown, rows = TABLES[name], getattr(view, name)
        cells = [[plain(column.cell(row)) for column in shown] for row in rows]
        if rows:
            output.table("", [column.title for column in shown], cells)
    if not spans:
        return
    output.table("", ENDED, [_row(span.name, span.all, span) for span in spans])
    day = spans[-1]
    tasks = sorted(day.tasks, key=lambda each: -each.ended)
    columns = ("task, in the last day", *ENDED[1:])
    output.table("", columns, [_row(each.task, each, day) for each in tasks])


def _row(name: str, totals: Totals, span: Span) -> list[str]:
    least = "" if span.is_complete else ">= "
    return [
        name,
        f"{least}{totals.successes}",
        str(totals.failures),
        str(totals.expired),
        str(totals.retries),
        _rate(totals.per_second),
        _seconds(totals.mean_seconds),
        _seconds(totals.mean_wait),
    ]


def _rate(per_second: float) -> str:
    """Return a rate in the unit that gives a number of a few digits.

    Example:
        >>> [_rate(each) for each in (0.0, 0.0005, 0.05, 12.3)]
        ['0', '1.8/h', '3.0/min', '12.3/s']
    """
    for seconds, unit in ((1, "s"), (60, "min")):
        if per_second * seconds >= 1:
            return f"{per_second * seconds:.1f}/{unit}"
    return f"{per_second * 3600:.1f}/h" if per_second else "0"


def _seconds(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    return f"{seconds * 1000:.1f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _remarks(spans: tuple[Span, ...], settings: Settings) -> list[str]:
    """Say of which time the store does not have all successes."""
    from gearfleet.results import Retention

    retention = Retention.of(settings)
    if spans and retention.save_limit < 0:
        return ["Successes are not kept (the setting 'save_limit'): only failures are counted."]
    if spans and retention.save_limit_per and retention.save_limit:
        return [
            f"Of each {retention.save_limit_per} the newest {retention.save_limit} successes are "
            "kept (the setting 'save_limit_per'): there may have been more."
        ]
    cut = [span for span in spans if not span.is_complete]
    return [_remark(cut[0], retention)] if cut else []


def _remark(span: Span, retention: Retention) -> str:
    from gearfleet.cli.ps import duration

    return (
        f"The newest {retention.save_limit} successes are kept (the setting 'save_limit'), those "
        f"of the last {duration(span.covers)}: rates are of that time, and there were more before."
    )


def _as_data(view: View, spans: tuple[Span, ...], silence: str) -> dict[str, Any]:
    shown = asdict(view)
    return {
        **{name: shown[name] for name in ("now", "servers", "queues", "programs")},
        "spans": [{**asdict(span), "is_complete": span.is_complete} for span in spans],
        "silence": silence,
    }
