"""The settings of Django Q: the dict ``Q_CLUSTER``, and those of before it, ``Q_...``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gearfleet.config import values
from gearfleet.config.options import DEFAULTS
from gearfleet.contrib.django.originals.reading import Path, Reading, mapped
from gearfleet.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A key of ours: its name, what a value may be, and what it is here.
Key = tuple[str, Callable[[object], Any], Callable[[Any], Any]]


def _as_it_is(value: Any) -> Any:
    return value


#: Keys that are options of programs, of one queue where they stand in ALT_CLUSTERS.
OPTIONS: Mapping[str, Key] = {
    "workers": ("processes", values.workers, _as_it_is),
    "recycle": ("max_jobs", values.count, _as_it_is),
    "max_rss": ("max_rss", values.count, lambda kilobytes: f"{kilobytes}KB"),
    "cpu_affinity": ("cpu_affinity", values.count, _as_it_is),
    "timeout": ("time_limit", values.seconds, _as_it_is),
    "log_level": ("loglevel", values.level, _as_it_is),
}


def _prefix(value: object) -> str:
    shown = values.text(value)
    if not shown or any(each.isspace() or each == "\0" for each in shown):
        raise values.BadValue("a text without white space: functions are named with it")
    return f"{shown}."


#: Keys that are those of the whole project.
PROJECT: Mapping[str, Key] = {
    "name": ("prefix", _prefix, _as_it_is),
    "save_limit": ("save_limit", values.save_limit, _as_it_is),
    "save_limit_per": ("save_limit_per", values.save_limit_per, _as_it_is),
    "compress": ("compress_above", values.boolean, int),
    "sync": ("always_eager", values.boolean, _as_it_is),
    "time_zone": ("time_zone", values.text, _as_it_is),
    "max_attempts": ("retries", values.count, lambda attempts: max(attempts - 1, 0)),
}

#: The settings of before Q_CLUSTER, and the keys there that they became.
EARLIER = {
    "Q_PREFIX": "name",
    "Q_WORKERS": "workers",
    "Q_SAVE_LIMIT": "save_limit",
    "Q_COMPRESSED": "compress",
    "Q_LOG_LEVEL": "log_level",
}

_BROKER = "gearmand is the broker, and GEARFLEET['SERVERS'] names it"
_STORE = "results are in one store, whose limits are 'save_limit' and 'failure_limit'"
_WHILE = (
    "a worker that asks gearmand for a job waits for it; nothing is fetched beforehand or again"
)

#: Keys that mean nothing here, and why.
WITHOUT_MEANING = {
    **dict.fromkeys(
        ("redis", "django_redis", "sqs", "iron_mq", "orm", "mongo", "mongo_db", "broker_class",
         "disque_nodes", "disque_auth", "disque_fastack", "has_replica"),
        _BROKER,
    ),
    **dict.fromkeys(("bulk", "poll", "guard_cycle"), _WHILE),
    **dict.fromkeys(("cached", "cache"), _STORE),
    "cluster_name": "a task has its queue from @task(queue=...), and qcluster -n serves one queue",
    "daemonize_workers": "workers are ordinary processes, whose tasks may start others",
    "retry": "a job is never given to another worker because of the time that it takes; "
    "'retry_after' is the pause between attempts",
    "ack_failures": "a job that has failed is tried again as 'retries' says",
    "queue_limit": "gearmand has limits of its own, for each function: GearmanAdminClient.maxqueue",
    "catch_up": "each schedule says it for itself, with catch_up",
    "label": "the admin calls the app gearfleet",
    "testing": "gearfleet.testing has fixtures for tests",
}  # fmt: skip

#: Of these the values that ask for what is so anyway.
ANYWAY: Mapping[str, Any] = {"cached": False, "testing": False, "catch_up": True, "scheduler": True}

KNOWN = frozenset({*OPTIONS, *PROJECT, *WITHOUT_MEANING, "scheduler", "error_reporter"})
SETTINGS = frozenset({"Q_CLUSTER", "Q_REDIS", *EARLIER})


def readings(django: object) -> Iterator[Reading]:
    """Yield what the settings become; those of Q_CLUSTER come first, because they count."""
    cluster = getattr(django, "Q_CLUSTER", None)
    if cluster is not None and not isinstance(cluster, Mapping):
        yield Reading(setting="Q_CLUSTER", problem=f"Q_CLUSTER must be a dict; it is {cluster!r}")
    elif cluster:
        yield from _of_cluster(cluster)
    for name, key in EARLIER.items():
        if (given := getattr(django, name, None)) is not None:
            yield from _of_key(name, key, given)
    if getattr(django, "Q_REDIS", None) is not None:
        yield Reading(setting="Q_REDIS", why_not=_BROKER)


def has_scheduler(django: object, name: str | None) -> bool:
    """Return whether the cluster `name` submits what is due, as Q_CLUSTER says."""
    cluster = getattr(django, "Q_CLUSTER", None) or {}
    other = (cluster.get("ALT_CLUSTERS") or {}).get(name) or {}
    return bool({**cluster, **other}.get("scheduler", True))


def queue_of(django: object, name: str | None) -> str | None:
    """Return the queue whose tasks the cluster `name` runs; None for those of all queues.

    The tasks of the cluster after which all others are named are those without a queue.
    """
    cluster = getattr(django, "Q_CLUSTER", None) or {}
    return "default" if name is not None and name == cluster.get("name") else name


def _of_cluster(cluster: Mapping[str, Any]) -> Iterator[Reading]:
    for key, given in cluster.items():
        setting = f"Q_CLUSTER[{key!r}]"
        if given is None:
            continue
        if key == "ALT_CLUSTERS":
            yield from _of_alternatives(setting, given)
        else:
            yield from _of_key(setting, key, given)


def _of_alternatives(setting: str, clusters: object) -> Iterator[Reading]:
    """Yield what the clusters beside the first become: options of a queue of the same name."""
    if not isinstance(clusters, Mapping):
        yield _no_dict(setting, clusters)
        return
    for name, table in clusters.items():
        if not isinstance(table, Mapping):
            yield _no_dict(f"{setting}[{name!r}]", table)
            continue
        for key, given in table.items():
            if given is not None:
                yield from _of_key(f"{setting}[{name!r}][{key!r}]", key, given, str(name))


def _no_dict(setting: str, given: object) -> Reading:
    return Reading(setting=setting, problem=f"{setting} must be a dict; it is {given!r}")


def _of_key(setting: str, key: str, given: Any, queue: str = "") -> Iterator[Reading]:
    if key in ANYWAY and given == ANYWAY[key]:
        yield Reading(setting=setting, means=f"{given!r}, which is so anyway")
    elif key in OPTIONS:
        yield from _of_option(setting, key, given, ("queues", queue) if queue else ("fleet",))
    elif key in PROJECT and not queue:
        yield _of_project(setting, key, given)
    elif key in PROJECT:
        yield Reading(setting=setting, why_not=f"{PROJECT[key][0]!r} is one for the whole project")
    else:
        yield _of_others(setting, key, queue)


def _of_option(setting: str, key: str, given: Any, place: Path) -> Iterator[Reading]:
    option, check, change = OPTIONS[key]
    reading = mapped(setting, given, (*place, option), check, change)
    yield reading
    if key == "timeout" and not reading.problem and reading.value > DEFAULTS["drain_timeout"]:
        # As Django Q, which waits for its jobs when it is told to stop.
        yield Reading(setting=setting, path=(*place, "drain_timeout"), value=reading.value)


def _of_project(setting: str, key: str, given: Any) -> Reading:
    name, check, change = PROJECT[key]
    if key == "max_attempts" and given == 0:
        return Reading(
            setting=setting, why_not="no job is tried for ever; GEARFLEET['RETRIES'] says how often"
        )
    return mapped(setting, given, (name,), check, change)


def _of_others(setting: str, key: str, queue: str) -> Reading:
    if key == "scheduler":
        return Reading(
            setting=setting, means=f"qcluster{queue and f' -n {queue}'} has no scheduler"
        )
    if key == "error_reporter" and not queue:
        return Reading(setting=setting, means="a hook on_failure, before those of GEARFLEET")
    if key in WITHOUT_MEANING or key in KNOWN:
        return Reading(
            setting=setting, why_not=WITHOUT_MEANING.get(key, "it is one for the whole project")
        )
    return Reading(
        setting=setting,
        problem=f"{setting} is no key of Django Q {did_you_mean(str(key), [*KNOWN, 'ALT_CLUSTERS'])}",
        fix="Correct the key, or remove it.",
        is_unknown=True,
    )
