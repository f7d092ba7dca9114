"""What a job says while its caller waits, told to the callbacks of the call."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.errors import JobFailed, JobTimeout
from gearfleet.gearman.streams import JobData, JobProgress, JobWarning
from gearfleet.tasks.codecs import CODECS

if TYPE_CHECKING:
    from gearfleet.gearman.aio.streams import AsyncJobStream
    from gearfleet.gearman.jobs import GearmanJobRequest
    from gearfleet.gearman.streams import JobEvent, JobStream
    from gearfleet.tasks import SubmitOptions


def listen(stream: JobStream, options: SubmitOptions) -> GearmanJobRequest:
    """Tell the callbacks of `options` what the job says; return its request when it has ended."""
    while True:
        try:
            event = next(stream)
        except (StopIteration, JobFailed, JobTimeout) as end:
            return _ended(stream.request, end)
        _tell(event, options, stream.request)


async def alisten(stream: AsyncJobStream, options: SubmitOptions) -> GearmanJobRequest:
    """Do what `listen` does, and let the event loop go on meanwhile."""
    while True:
        try:
            event = await anext(stream)
        except (StopAsyncIteration, JobFailed, JobTimeout) as end:
            return _ended(stream.request, end)
        _tell(event, options, stream.request)


def _ended(request: GearmanJobRequest, end: Exception) -> GearmanJobRequest:
    request.timed_out = isinstance(end, JobTimeout)
    return request


def _tell(event: JobEvent, options: SubmitOptions, request: GearmanJobRequest) -> None:
    if isinstance(event, JobData):
        if options.on_data is not None:
            options.on_data(CODECS[options.codec].decode_result(event.data))
    elif isinstance(event, JobWarning):
        # The last one may be the reason of a failure, see `Outgoing.result`.
        request.warning_updates.append(event.data)
        if options.on_warning is not None:
            options.on_warning(event.data.decode("utf-8", "backslashreplace"))
    elif isinstance(event, JobProgress) and options.on_progress is not None:
        options.on_progress(event.numerator, event.denominator)
