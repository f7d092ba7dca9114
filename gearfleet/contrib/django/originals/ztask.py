"""The settings of django-ztask and its forks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.config import values
from gearfleet.contrib.django.originals.reading import Reading, mapped
from gearfleet.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator

#: For keys of ours whose values mean the same.
SAME = {
    "ZTASKD_ALWAYS_EAGER": ("always_eager", values.boolean),
    "ZTASKD_DISABLED": ("disabled", values.boolean),
    "ZTASKD_RETRY_COUNT": ("retries", values.count),
    "ZTASKD_RETRY_AFTER": ("retry_after", values.seconds),
}

#: What django-ztask calls when it starts, which is what hooks are for.
ON_LOAD = "ZTASKD_ON_LOAD"

_SOCKET = "gearmand takes the place of the ZeroMQ sockets, and GEARFLEET['SERVERS'] names it"
_POOL = "one process hands nothing on to others: each worker asks gearmand for its own jobs"

#: Those that mean nothing here, and why.
WITHOUT_MEANING = {
    "ZTASKD_URL": _SOCKET,
    "ZTASKD_WORKER_PORT": _SOCKET,
    "ZTASKD_WORKER_URL_LIST": _SOCKET,
    "ZTASKD_WORKER_BIND_URL": _SOCKET,
    "ZTASKD_SUBWORKER_MANAGEMENT_URL": _POOL,
    "ZTASKD_SUBWORKER_STATUS_REPORT_URL": _POOL,
    "ZTASKD_SUBWORKER_WORKER_START_PORT": _POOL,
    "ZTASKD_WORKER_POOL_SIZE": "ztaskd --worker-pool-size says it, and in production the option "
    "'processes'",
    "ZTASKD_ALIVE_URL": "gearmand is asked, not the worker; GEARFLEET = {'SEND_FAILURE': 'run'} "
    "runs jobs here while it is down",
    "ZTASKD_ALIVE_TIMEOUT": "gearmand is asked, not the worker; 'client_timeout' bounds a call",
}

SETTINGS = frozenset({*SAME, *WITHOUT_MEANING, ON_LOAD})


def readings(django: object) -> Iterator[Reading]:
    """Yield what the settings become, those too that nobody knows."""
    for name in sorted(name for name in dir(django) if name.startswith("ZTASKD_")):
        given = getattr(django, name)
        if name in SAME:
            key, check = SAME[name]
            yield mapped(name, given, (key,), check)
        elif name == ON_LOAD:
            yield _of_on_load(given)
        elif name in WITHOUT_MEANING:
            yield Reading(setting=name, why_not=WITHOUT_MEANING[name])
        else:
            yield Reading(
                setting=name,
                problem=f"{name} is no setting of django-ztask {did_you_mean(name, SETTINGS)}",
                fix="Correct the name, or remove it.",
                is_unknown=True,
            )


def _of_on_load(given: object) -> Reading:
    reading = mapped(ON_LOAD, given or (), ("hooks", "on_start"), values.texts)
    if reading.problem:
        return reading
    return Reading(setting=ON_LOAD, means="hooks.on_start, before those of GEARFLEET")
