"""What happens to one foreground job, for `async for`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gearfleet.gearman.streams import JobStream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Self

    from gearfleet.gearman.aio.channel import AsyncChannel
    from gearfleet.gearman.streams import JobEvent, StreamedRequest


class AsyncJobStream:
    """The events of one job that was submitted with `AsyncGearmanClient.stream`.

    It yields what `JobStream` does, ends as that does, and raises the same.

    Attributes:
        request: the request, with its handle, state and exception.
    """

    def __init__(
        self,
        request: StreamedRequest,
        submit: Callable[[], Awaitable[AsyncChannel]],
        deadline: float | None,
    ) -> None:
        self.request = request
        self._submit = submit
        self._deadline = deadline
        self._channel: AsyncChannel | None = None
        # It never waits: whoever awaits has done that before.
        self._events = JobStream(request, lambda has_news: has_news())

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> JobEvent:
        """Return the next event when there is one; the first time submit the job before."""
        if self._channel is None:
            self._channel = await self._submit()
        await self._channel.wait([self.request], _has_news, self._deadline)
        try:
            return next(self._events)
        except StopIteration:
            raise StopAsyncIteration from None


def _has_news(request: StreamedRequest) -> bool:
    return bool(request.events) or request.is_settled
