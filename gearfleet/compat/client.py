"""`GearmanClient` of django-gearman-jbox and django-gearman: python-gearman's, with arguments.

Its hosts are those of the settings; a job has the payload that gearfleet's
workers understand. Other than there, falsy data is sent, and what is dispatched
in the background outlives the client.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from gearfleet import config
from gearfleet.client import Client
from gearfleet.compat.requests import GearmanJobRequest, TypedEncoder
from gearfleet.errors import JobFailed
from gearfleet.gearman import GearmanClient as BytesClient
from gearfleet.gearman.jobs import PRIORITY_HIGH, PRIORITY_NONE, to_bytes
from gearfleet.tasks import SubmitOptions, Task
from gearfleet.tasks.forms import arguments_of, refuse_misplaced
from gearfleet.tasks.payload import encode_value

if TYPE_CHECKING:
    from gearfleet.gearman.addresses import AddressLike
    from gearfleet.outgoing import Outgoing
    from gearfleet.tasks import Submitter


class GearmanClient(BytesClient):
    """Submits jobs of tasks; see `gearfleet.Client`, which new code uses.

    Example:
        client = GearmanClient()
        request = client.submit_job("foo", kwargs={"sentence": "The quick brown fox"})
        print(f"Result: '{request}'")
    """

    data_encoder = TypedEncoder
    job_request_class = GearmanJobRequest

    def __init__(self, host_list: AddressLike | Sequence[AddressLike] | None = None, **kwargs: Any):
        """Use the job servers of the settings, or `host_list`; see `gearfleet.gearman`."""
        settings = config.current()
        super().__init__(host_list or settings.servers, **kwargs)
        self._calls = Client(settings)

    def __call__(self, *_args: Any, **_kwargs: Any) -> NoReturn:
        """Say what took the place of python-gearman 1.x's call."""
        raise NotImplementedError(
            "do_task() is gone: call submit_job(), or dispatch_background_task() for a job "
            "whose result nobody waits for"
        )

    def submit_job(  # type: ignore[override]  # noqa: PLR0917 - the originals' signature
        self,
        task: Task[..., Any] | str,
        orig_data: Any = None,
        unique: str | bytes | bool | None = None,
        priority: str | None = PRIORITY_NONE,
        background: bool | None = False,
        wait_until_complete: bool | None = True,
        max_retries: int | None = 0,
        poll_timeout: float | None = None,
        *arguments: Any,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        **keywords: Any,
    ) -> GearmanJobRequest:
        """Submit a job of `task` and return its request; the value is in `result`.

        The arguments of the task are `orig_data` (or ``data=``), `arguments`, `args`,
        `kwargs` and every keyword that is no option; see `gearfleet.Client.submit_job`.
        """
        refuse_misplaced(
            orig_data,
            unique=unique,
            priority=priority,
            background=background,
            wait_until_complete=wait_until_complete,
            max_retries=max_retries,
            poll_timeout=poll_timeout,
        )
        data = self.parse_data(orig_data, args, kwargs, *arguments, **keywords)
        if (stand_in := self._calls._stand_in()) is not None:
            return self._answered(stand_in, task, data, background=bool(background))
        outgoing = self._outgoing(task, data, unique, background=bool(background))
        request = super().submit_job(
            outgoing.function,
            outgoing.data,
            unique=outgoing.unique,
            priority=priority,
            background=bool(background),
            wait_until_complete=True if wait_until_complete is None else wait_until_complete,
            max_retries=max_retries or 0,
            poll_timeout=poll_timeout,
        )
        assert isinstance(request, GearmanJobRequest)
        return request

    def parse_data(
        self,
        arg: Any = None,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *arguments: Any,
        **keywords: Any,
    ) -> dict[str, Any]:
        """Return the arguments of a task as ``{"args": [...], "kwargs": {...}}``."""
        positional, named = arguments_of(arg, arguments, args, kwargs, keywords)
        return {"args": positional, "kwargs": named}

    def dispatch_background_task(  # noqa: PLR0917 - the originals' signature
        self,
        func: Task[..., Any] | str,
        arg: Any = None,
        uniq: str | bytes | bool | None = None,
        high_priority: bool = False,
        args: Sequence[Any] | None = None,
        kwargs: Mapping[str, Any] | None = None,
        *arguments: Any,
        **keywords: Any,
    ) -> GearmanJobRequest:
        """Submit a background job of `func`; return its request when it is accepted."""
        data = self.parse_data(arg, args, kwargs, *arguments, **keywords)
        return self.submit_job(
            func,
            unique=uniq,
            priority=PRIORITY_HIGH if high_priority else PRIORITY_NONE,
            background=True,
            args=data["args"],
            kwargs=data["kwargs"],
        )

    def submit_multiple_jobs(
        self, jobs_to_submit: Any, background: bool = False, *args: Any, **kwargs: Any
    ) -> list[Any]:
        """Submit many jobs at once; the `data` of each is one datum, or what `parse_data` made."""
        if not isinstance(jobs_to_submit, list | tuple | set):
            raise TypeError(f"jobs_to_submit must be a list of dicts; it is {jobs_to_submit!r}")
        jobs = [self._job(dict(job), background=background) for job in jobs_to_submit]
        return super().submit_multiple_jobs(jobs, background, *args, **kwargs)

    def _answered(
        self,
        stand_in: Submitter,
        task: Task[..., Any] | str,
        data: Mapping[str, Any],
        *,
        background: bool,
    ) -> GearmanJobRequest:
        """Return the request of a job that `stand_in` has taken instead of a job server."""
        name = task if isinstance(task, str) else task.name
        request = self._new_request(name, b"", None, None, background=background, max_retries=0)
        assert isinstance(request, GearmanJobRequest)
        call = (name, data["args"], data["kwargs"], SubmitOptions())
        if background:
            request.mark_created(to_bytes(stand_in.enqueue(*call).server))
            return request
        try:
            request.mark_complete(encode_value(stand_in.run(*call)))
        except JobFailed as error:
            request.mark_failed(exception=to_bytes(str(error)))
        return request

    def _job(self, job: dict[str, Any], *, background: bool) -> dict[str, Any]:
        data = job.get("data")
        if not (isinstance(data, Mapping) and data.keys() == {"args", "kwargs"}):
            data = self.parse_data(data)
        background = bool(job.get("background", background))
        outgoing = self._outgoing(job["task"], data, job.get("unique"), background=background)
        return {**job, "task": outgoing.function, "data": outgoing.data, "unique": outgoing.unique}

    def _outgoing(
        self,
        task: Task[..., Any] | str,
        data: Mapping[str, Any],
        unique: str | bytes | bool | None,
        *,
        background: bool,
    ) -> Outgoing:
        name = task if isinstance(task, str) else task.name
        chosen = SubmitOptions() if isinstance(task, str) else task.chosen
        options = SubmitOptions(unique=unique or None, codec=chosen.codec, signed=chosen.signed)
        return self._calls._prepare(
            name, data["args"], data["kwargs"], options, waits=not background
        )


def submit_job(
    task_name: Task[..., Any] | str,
    data: Any = None,
    client: GearmanClient | None = None,
    **options: Any,
) -> GearmanJobRequest:
    """Submit a job as django-gearman-commands does: in the background unless `options` say otherwise.

    `options` are those of `GearmanClient.submit_job`.
    """
    chosen: dict[str, Any] = {"background": True, "wait_until_complete": False, **options}
    if client is not None:
        return client.submit_job(task_name, data, **chosen)
    with GearmanClient() as fresh:
        return fresh.submit_job(task_name, data, **chosen)
