"""`Client`: submit jobs of tasks, by the task or by its name.

    client = Client()
    client.submit(resize, 7, width=100)         # waits, returns what resize returns
    client.delay("shop.worker_foo.resize", 7)   # in the background: a JobHandle

Arguments and results are those of `gearfleet.tasks.payload`. For bytes in and
bytes out, to functions of other programs too, use `gearfleet.gearman.GearmanClient`.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar, overload

from gearfleet import config
from gearfleet.errors import ServerUnavailable
from gearfleet.gearman.client import GearmanClient
from gearfleet.listening import alisten, listen
from gearfleet.loops import PerLoop
from gearfleet.outcomes import Outcomes, status_of
from gearfleet.outgoing import handles_of
from gearfleet.route import Routes
from gearfleet.standins import Eager, stand_in_for
from gearfleet.tasks import JobHandle, SubmitOptions, Task, TaskCall, submission
from gearfleet.tasks.forms import arguments_of, options_of, refuse_misplaced

if TYPE_CHECKING:
    from collections.abc import Coroutine, Iterable, Mapping, Sequence

    from gearfleet.config import Settings
    from gearfleet.outgoing import Outgoing
    from gearfleet.tasks import HandleStatus, Submitter

logger = logging.getLogger(__name__)

P = ParamSpec("P")
R = TypeVar("R")
T = TypeVar("T")

_PLAIN = SubmitOptions()


class Client(Outcomes):
    """Submits jobs to the job servers of the settings.

    One client may be used by many threads and event loops, and on both sides of a fork.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        """Use `settings`, or those of the process; connect when the first job is submitted."""
        self.settings = settings or config.current()
        self._gearman = GearmanClient(self.settings.servers)
        self._loops = PerLoop(self.settings.servers)
        self._routes = Routes(self.settings)
        self._inline = stand_in_for(self.settings)

    @overload
    def submit(
        self, task: Task[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    def submit(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    def submit(self, task: str, /, *args: Any, **kwargs: Any) -> Any: ...
    def submit(self, task: Task[..., Any] | str, /, *args: Any, **kwargs: Any) -> Any:
        """Submit a job, wait for it, and return its result.

        Raises:
            JobFailed: the task raised, or its worker refused the job; says why.
            JobTimeout: no result within the setting `client_timeout`.
            ServerUnavailable: no job server can be reached; names their addresses.
            AmbiguousSubmit: the connection broke; the job may run or may not.
            PayloadEncodeError: an argument cannot be sent; names it.
        """
        return self.run(_name(task), args, kwargs, _options(task))

    @overload
    def delay(self, task: Task[P, Any], /, *args: P.args, **kwargs: P.kwargs) -> JobHandle: ...
    @overload
    def delay(self, task: str, /, *args: Any, **kwargs: Any) -> JobHandle: ...
    def delay(self, task: Task[..., Any] | str, /, *args: Any, **kwargs: Any) -> JobHandle:
        """Submit a job in the background; return when a job server has accepted it.

        Raises as `submit`, but for what becomes of the job later.
        """
        return self.enqueue(_name(task), args, kwargs, _options(task))

    @overload
    async def asubmit(
        self, task: Task[P, Coroutine[Any, Any, T]], /, *args: P.args, **kwargs: P.kwargs
    ) -> T: ...
    @overload
    async def asubmit(self, task: Task[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R: ...
    @overload
    async def asubmit(self, task: str, /, *args: Any, **kwargs: Any) -> Any: ...
    async def asubmit(self, task: Task[..., Any] | str, /, *args: Any, **kwargs: Any) -> Any:
        """Do what `submit` does, and let the event loop go on meanwhile."""
        return await self.arun(_name(task), args, kwargs, _options(task))

    @overload
    async def adelay(
        self, task: Task[P, Any], /, *args: P.args, **kwargs: P.kwargs
    ) -> JobHandle: ...
    @overload
    async def adelay(self, task: str, /, *args: Any, **kwargs: Any) -> JobHandle: ...
    async def adelay(self, task: Task[..., Any] | str, /, *args: Any, **kwargs: Any) -> JobHandle:
        """Do what `delay` does, and let the event loop go on meanwhile."""
        return await self.aenqueue(_name(task), args, kwargs, _options(task))

    def submit_many(
        self, calls: Iterable[TaskCall], *, timeout: float | None = None
    ) -> list[JobHandle]:
        """Submit many jobs in the background, all written before the first answer is awaited.

        Args:
            calls: made with `fn.call(...)`, or ``TaskCall("shop.resize", args, kwargs)``.
            timeout: seconds for all of them; None for the setting `client_timeout`.

        Raises:
            BatchFailed: some were not accepted; it has the handles of the others.
            ServerUnavailable: no job server can be reached; nothing was submitted.
            PayloadEncodeError: an argument cannot be sent; nothing was submitted.

        Example:
            client.submit_many(resize.call(image_id) for image_id in ids)
        """
        if (stand_in := self._stand_in()) is not None:
            return stand_in.enqueue_many(calls)
        limit = self.settings.client_timeout if timeout is None else timeout
        to = self._routes.to
        batch = [
            to(name, options, waits=False).request(args, kwargs, limit)
            for name, args, kwargs, options in calls
        ]
        requests = self._gearman.submit_multiple_requests(
            [request for _, request in batch], False, limit
        )
        return handles_of([job for job, _ in batch], requests, limit)

    def submit_job(  # noqa: PLR0917 - the order of the older projects
        self,
        task: Task[..., Any] | str,
        orig_data: Any = None,
        unique: str | bytes | bool | None = None,
        priority: str | None = None,
        background: bool | None = None,
        wait_until_complete: bool | None = None,
        max_retries: int | None = None,
        poll_timeout: float | None = None,
        /,
        *arguments: Any,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> Any:
        """Submit a job in any form that the older projects' READMEs show.

        By position come the only argument of the task, six options, and further arguments of the
        task. By keyword come the options (`poll_timeout` also as `timeout`), that one argument (as
        `data` or `orig_data`), `args` and `kwargs` of the task whatever their names, and any
        other keyword, which is the task's.

        The options are those of `SubmitOptions`, and `background`, which does not wait for the
        result. ``wait_until_complete=False`` is the same: nobody could fetch the result of a job
        that nobody waits for.

        Returns:
            What the task returned, or a `JobHandle` of a background job.

        Raises:
            TypeError: an argument of the task stands where an option does.

        Example:
            client.submit_job("shop.resize", {"id": 7})
            client.submit_job("shop.resize", id=7, background=True)
            client.submit_job("shop.resize", args=[7], kwargs={"unique": False}, unique=True)
        """
        options = options_of(
            keywords,
            unique=unique,
            priority=priority,
            background=background,
            wait_until_complete=wait_until_complete,
            max_retries=max_retries,
            poll_timeout=poll_timeout,
        )
        refuse_misplaced(orig_data, **options)
        positional, named = arguments_of(orig_data, arguments, args, kwargs, keywords)
        waits = not options["background"] and options["wait_until_complete"] is not False
        send = self.run if waits else self.enqueue
        return send(_name(task), positional, named, _with(_options(task), options))

    def run(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Submit a job of the task called `name` and return its result; see `submit`."""
        if (stand_in := self._stand_in()) is not None:
            return stand_in.run(name, args, kwargs, options)
        outgoing = self._prepare(name, args, kwargs, options, waits=True)
        if options.listens:
            stream = self._gearman.stream(**outgoing.streamed_arguments())
            return outgoing.result(listen(stream, options))
        return outgoing.result(self._gearman.submit_job(**outgoing.arguments()))

    def enqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Submit a job of the task called `name` in the background; see `delay`."""
        if (stand_in := self._stand_in()) is not None:
            return stand_in.enqueue(name, args, kwargs, options)
        outgoing = self._prepare(name, args, kwargs, options, waits=False)
        try:
            return outgoing.handle(self._gearman.submit_job(**outgoing.arguments()))
        except ServerUnavailable as error:
            return self._instead(error, name).enqueue(name, args, kwargs, options)

    def enqueue_many(self, calls: Iterable[TaskCall]) -> list[JobHandle]:
        """Submit many jobs in the background; see `submit_many`."""
        return self.submit_many(calls)

    async def arun(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        """Do what `run` does, and let the event loop go on meanwhile."""
        if (stand_in := self._stand_in()) is not None:
            return await stand_in.arun(name, args, kwargs, options)
        outgoing = self._prepare(name, args, kwargs, options, waits=True)
        gearman = await self._loops.client()
        if options.listens:
            stream = gearman.stream(**outgoing.streamed_arguments())
            return outgoing.result(await alisten(stream, options))
        return outgoing.result(await gearman.submit_job(**outgoing.arguments()))

    async def aenqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        """Do what `enqueue` does, and let the event loop go on meanwhile."""
        if (stand_in := self._stand_in()) is not None:
            return await stand_in.aenqueue(name, args, kwargs, options)
        outgoing = self._prepare(name, args, kwargs, options, waits=False)
        gearman = await self._loops.client()
        try:
            return outgoing.handle(await gearman.submit_job(**outgoing.arguments()))
        except ServerUnavailable as error:
            return await self._instead(error, name).aenqueue(name, args, kwargs, options)

    def status(self, handle: JobHandle) -> HandleStatus:
        """Return what the job server knows of a job; see `JobHandle.status`."""
        if (stand_in := self._stand_in()) is not None:
            return stand_in.status(handle)
        return status_of(handle, self._gearman, self.settings)

    def close(self) -> None:
        """Close the connections; the next job opens new ones.

        Those of an event loop are closed with `aclose`, and when the loop ends.
        """
        self._gearman.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc_info: object) -> None:
        self.close()

    async def aclose(self) -> None:
        """Close the connections of the running event loop."""
        await self._loops.close()

    def _stand_in(self) -> Submitter | None:
        """Return what the settings, or the fixtures of a test, put in this client's place."""
        return submission.stand_in() or self._inline

    def _instead(self, error: ServerUnavailable, name: str) -> Submitter:
        """Return what runs a job that no job server could be given, if the settings want that."""
        if self.settings.send_failure != "run":
            raise error
        logger.error(
            "A job of %s runs in this process, because it could not be submitted: %s",
            name,
            error,
            extra={"action": "submit_failed", "task": name},
        )
        return Eager(self.settings)

    def _prepare(
        self,
        name: str,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
        options: SubmitOptions,
        *,
        waits: bool,
    ) -> Outgoing:
        return self._routes.to(name, options, waits=waits).outgoing(args, kwargs)


def _name(task: Task[..., Any] | str) -> str:
    return task if isinstance(task, str) else task.name


def _options(task: Task[..., Any] | str) -> SubmitOptions:
    return _PLAIN if isinstance(task, str) else task.chosen


def _with(options: SubmitOptions, given: Mapping[str, Any]) -> SubmitOptions:
    """Return the options of the task under those of a call of `submit_job`."""
    changes: dict[str, Any] = {
        "unique": given["unique"],
        "priority": given["priority"] and given["priority"].lower(),
        "max_retries": given["max_retries"],
        "timeout": given["poll_timeout"],
    }
    return replace(options, **{key: item for key, item in changes.items() if item is not None})


_default: Client | None = None


def default_client() -> Client:
    """Return the client of this process, made anew when its settings have changed."""
    global _default  # noqa: PLW0603 - one process has one
    if _default is None or _default.settings is not config.current():
        _default = Client()
    return _default


def close_default_client() -> None:
    """Close the connections of this process's client, as a test does at its end."""
    global _default
    closing, _default = _default, None
    if closing is not None:
        closing.close()


__all__ = ["Client", "JobHandle", "SubmitOptions", "close_default_client", "default_client"]
