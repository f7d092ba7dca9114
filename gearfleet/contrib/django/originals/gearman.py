"""The settings of django-gearman-jbox, django-gearman and django-gearman-commands."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from gearfleet.config import values
from gearfleet.config.reader import check_servers
from gearfleet.contrib.django.originals.reading import Reading, mapped
from gearfleet.errors import ConfigError
from gearfleet.tasks.naming import function_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

#: Where the originals keep the job servers; the first that is set counts.
SERVERS = ("GEARMAN_CLIENT_SERVERS", "GEARMAN_SERVERS", "GEARMAN_WORKER_SERVERS")
WORKER_SERVERS = ("GEARMAN_WORKER_SERVERS", "GEARMAN_SERVERS", "GEARMAN_CLIENT_SERVERS")

#: How the originals make functions of task names.
NAMES = ("GEARMAN_JOB_NAME", "GEARMAN_CLIENT_NAMESPACE")

SETTINGS = frozenset({*SERVERS, *NAMES})


def readings(django: object) -> Iterator[Reading]:
    """Yield what the settings of the job servers and of the names become."""
    yield from _of_servers(django)
    yield from _of_names(django)


def _of_servers(django: object) -> Iterator[Reading]:
    clients, workers = _first(django, SERVERS), _first(django, WORKER_SERVERS)
    if not (clients and workers):
        return
    yield mapped(clients, _list(django, clients), ("servers",), _servers)
    if _list(django, workers) != _list(django, clients):
        yield mapped(workers, _list(django, workers), ("worker_servers",), _servers)
    for name in SERVERS:
        if getattr(django, name, None) and name not in (clients, workers):
            yield mapped(name, _list(django, name), ("servers",), _servers)


def _first(django: object, names: Iterable[str]) -> str | None:
    return next((name for name in names if getattr(django, name, None)), None)


def _list(django: object, name: str) -> Any:
    found = getattr(django, name)
    return [found] if isinstance(found, str) else found


def _servers(value: object) -> list[str]:
    try:
        return list(check_servers(values.texts(value), "it"))
    except ConfigError as error:
        raise values.BadValue(f"a list of job servers ({error})") from error


def _of_names(django: object) -> Iterator[Reading]:
    named = getattr(django, "GEARMAN_JOB_NAME", None)
    if named is not None:
        yield _of_job_name(named, getattr(django, "GEARMAN_CLIENT_NAMESPACE", None))
    if space := getattr(django, "GEARMAN_CLIENT_NAMESPACE", None):
        inner: Any = named if _is_prefix(named) else ""
        yield mapped(
            "GEARMAN_CLIENT_NAMESPACE", space, ("prefix",), values.text, partial(_namespace, inner)
        )


def _of_job_name(named: object, space: object) -> Reading:
    if not _is_prefix(named):
        return Reading(
            setting="GEARMAN_JOB_NAME",
            why_not="as in django-gearman, only a callable changes names, or 'cwd', which stands "
            "for its default",
        )
    if space:
        return Reading(setting="GEARMAN_JOB_NAME", means="the name to which the namespace is added")
    return Reading(setting="GEARMAN_JOB_NAME", path=("prefix",), value=named)


def _is_prefix(named: object) -> bool:
    return callable(named) or named == "cwd"


def _namespace(inner: str | Callable[[str], str], space: str) -> Callable[[str], str]:
    return partial(_in_namespace, inner, space)


def _in_namespace(inner: str | Callable[[str], str], space: str, name: str) -> str:
    return f"{function_name(name, inner)}@{space}"
