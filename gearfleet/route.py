"""`Route`: how the calls of one task with the same options become jobs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from gearfleet.gearman.jobs import GearmanJob, GearmanJobRequest
from gearfleet.outgoing import GEARMAN_PRIORITIES, Outgoing, meta_of, new_id, unique_of
from gearfleet.tasks.announcing import announce, is_anybody_told
from gearfleet.tasks.meta import brief
from gearfleet.tasks.naming import function_name
from gearfleet.tasks.packing import Packing, Terms
from gearfleet.tasks.payload import Call, usual_call

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from gearfleet.config import Settings
    from gearfleet.tasks import SubmitOptions

#: Where there are more, options are made anew for each job.
_KEPT = 256


class Route:
    """The way of the jobs of one task that are submitted with the same options."""

    def __init__(
        self,
        name: str,
        options: SubmitOptions,
        *,
        waits: bool,
        settings: Settings,
        packing: Packing,
    ) -> None:
        """Work out what all of its jobs have in common.

        Raises:
            ValueError: options for a caller who waits, and nobody does.
        """
        if options.listens and not waits:
            raise ValueError(
                f"Nobody listens to a job of {name} in the background: on_data, on_warning and "
                "on_progress are for submit()"
            )
        self.options = options
        self._name = name
        self._waits = waits
        self._function = function_name(name, settings.prefix)
        terms = Terms(self._function, options.codec, options.signed)
        self._pack, self._wrap = packing.packer(terms), packing.wrapper(terms)
        self._priority = GEARMAN_PRIORITIES[options.priority]
        self._timeout = settings.client_timeout if options.timeout is None else options.timeout
        self._has_time = options.at is not None or options.after is not None
        #: Whether nothing is said of a job but its id, of ours, and the moment.
        self._is_simple = (
            options.codec == "envelope"
            and not (self._has_time or options.id or options.unique)
            and meta_of(options, 0.0, waits=waits).is_usual
        )

    def outgoing(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float | None = None
    ) -> Outgoing:
        """Return the job of a call with these arguments; `timeout` counts more than the options.

        Raises:
            PayloadEncodeError: an argument cannot be sent; names it.
            ValueError: it is for later, and its caller waits.
        """
        options, now = self.options, time.time()
        due_at = options.due_at(now) if self._has_time else 0.0
        if due_at <= now:
            due_at = 0.0
        elif self._waits:
            raise ValueError(
                f"A job of {self._name} for later runs in the background: use delay(), after() "
                "or at()"
            )
        meta = meta_of(options, now, waits=self._waits)
        announce(self._name, args, kwargs, meta)
        return Outgoing(
            self._function,
            self._pack(Call(args, kwargs, meta)),
            meta,
            unique_of(meta, options.unique, args, kwargs),
            options,
            self._timeout if timeout is None else timeout,
            due_at,
        )

    def request(
        self, args: Sequence[Any], kwargs: Mapping[str, Any], timeout: float
    ) -> tuple[str, GearmanJobRequest]:
        """Return the id, and the request, of a job in the background; raises as `outgoing`."""
        if self._is_simple and not kwargs and not is_anybody_told():
            job, now = new_id(), time.time()
            if body := usual_call(args, brief(job, now)):
                data = self._wrap(b"", body)
                submitted = GearmanJob(None, None, self._function, f"{job}.1", data)
                attempts = self.options.max_retries + 1
                return job, GearmanJobRequest(submitted, self._priority, True, attempts)
        outgoing = self.outgoing(args, kwargs, timeout)
        return outgoing.meta.id, outgoing.request()


class Routes:
    """The routes of one client, each made when its first job is submitted."""

    def __init__(self, settings: Settings) -> None:
        """Prefix and sign as `settings` say."""
        self._settings = settings
        self._packing = Packing.of(settings)
        #: By the identity of the options, which a route keeps, because their hash takes long.
        self._known: dict[tuple[str, int, bool], Route] = {}
        # What a function makes of the name of a task may be another thing each time.
        self._is_fixed = not callable(settings.prefix)

    def to(self, name: str, options: SubmitOptions, *, waits: bool) -> Route:
        """Return the route of the jobs of the task called `name` with these options."""
        key = name, id(options), waits
        route = self._known.get(key)
        if route is None:
            route = Route(
                name, options, waits=waits, settings=self._settings, packing=self._packing
            )
            self._keep(key, route)
        return route

    def _keep(self, key: tuple[str, int, bool], route: Route) -> None:
        if len(self._known) >= _KEPT:
            self._known.clear()
        # Objects of callers are not ours to keep, and those of one job serve no other.
        options = route.options
        if self._is_fixed and not (options.listens or options.chain or options.id):
            self._known[key] = route
