"""Jobs that belong together: one after the other, or their results in one list.

    chained = chain([fetch.call(url), parse.call()], pass_results=True)
    chained.result(timeout=30)

    thumbnails = gather(resize.call(image) for image in images)
    thumbnails.result(timeout=30)           # a list, in the order of the calls

The workers do the rest: the one that ends a step submits the next, the one that
ends the last job of a list keeps the list. So the caller may go away.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gearfleet.errors import JobTimeout
from gearfleet.outgoing import new_id
from gearfleet.results.reading import fetch, value_of
from gearfleet.tasks.naming import hook_path
from gearfleet.tasks.plans import Plan, Share, job_of, steps_of
from gearfleet.tasks.submission import submitter

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gearfleet.results import TaskRecord
    from gearfleet.tasks import TaskCall
    from gearfleet.tasks.options import Callback

#: Seconds between two looks at the jobs of a chain.
_PAUSE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Jobs of which each is submitted when the one before it has ended.

    Attributes:
        id: of the chain; its jobs are a group of this name, unless they have one of their own.
        length: how many steps it has.
        stops_on_failure: whether no step follows one that failed.
    """

    id: str
    length: int
    stops_on_failure: bool = True

    @property
    def jobs(self) -> tuple[str, ...]:
        """The ids of the jobs, also of those that are not submitted yet."""
        return tuple(job_of(self.id, number) for number in range(self.length))

    def records(self) -> list[TaskRecord]:
        """Return the records of the steps that have ended and whose results are kept."""
        found = (fetch(job) for job in self.jobs)
        return [record for record in found if record is not None]

    def result(self, timeout: float) -> Any:
        """Wait for the last step and return what its task returned.

        Raises:
            JobFailed: a step failed, and the chain stopped there.
            JobTimeout: the chain has not ended after `timeout` seconds.
        """
        deadline = time.monotonic() + timeout
        while (end := self._end()) is None:
            if time.monotonic() >= deadline:
                raise JobTimeout(f"Chain {self.id} has not ended within {timeout:g} s")
            time.sleep(_PAUSE)
        return value_of(end)

    def _end(self) -> TaskRecord | None:
        """Return the record with which the chain ended."""
        last = fetch(self.jobs[-1])
        if last is not None or not self.stops_on_failure:
            return last
        return next((record for record in self.records() if not record.is_success), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """Jobs whose results become one list.

    Attributes:
        id: of the list: the id of its record.
        length: how many jobs there are.
    """

    id: str
    length: int

    def fetch(self, timeout: float = 0.0) -> TaskRecord | None:
        """Return the record of the list; None if it is not complete after `timeout` seconds."""
        return fetch(self.id, wait=timeout)

    def result(self, timeout: float) -> list[Any]:
        """Wait for all jobs and return their results, in the order of the calls.

        Raises:
            JobFailed: a job failed; the record of the list has the other results.
            JobTimeout: some have not ended after `timeout` seconds.
        """
        if (record := self.fetch(timeout)) is None:
            raise JobTimeout(f"The {self.length} jobs of {self.id} have not ended in {timeout:g} s")
        found: list[Any] = value_of(record)
        return found


def chain(
    calls: Iterable[TaskCall],
    *,
    pass_results: bool = False,
    stop_on_failure: bool = True,
    group: str = "",
    keep: float = 0.0,
) -> Chain:
    """Submit the first of `calls`; a worker submits each of the others when the one before has ended.

    Args:
        calls: made with ``fn.call(...)``.
        pass_results: whether each gets the result before it as its first argument.
        stop_on_failure: whether no call follows one that failed.
        group: of the jobs; by default the id of the chain.
        keep: seconds for which the results are kept, whatever the limits.

    Raises:
        ValueError: there are no calls.
    """
    name = new_id()
    grouped = [_in_group(call, group or name) for call in calls]
    if not grouped:
        raise ValueError("A chain has one call at least")
    steps = steps_of(
        grouped, name, pass_results=pass_results, stop_on_failure=stop_on_failure, keep=keep
    )
    first = Plan(steps=steps).next_call(is_success=True, result=None)
    assert first is not None
    submitter().enqueue(*first)
    return Chain(id=name, length=len(steps), stops_on_failure=stop_on_failure)


def gather(
    calls: Iterable[TaskCall],
    *,
    name: str = "",
    group: str = "",
    hook: Callback = "",
    keep: float = 0.0,
) -> Gathered:
    """Submit all `calls` at once; their results become one list under the id that is returned.

    The list is kept when the last job has ended. That of a job that failed has None.

    Args:
        calls: made with ``fn.call(...)``.
        name: of the list, for people.
        group: that the list belongs to.
        hook: what is called with the record of the list: a function or its dotted path.
        keep: seconds for which the list is kept, whatever the limits.

    Raises:
        ValueError: there are no calls.
        BatchFailed: some jobs were not accepted.
    """
    whole, batch, path = new_id(), list(calls), hook_path(hook)
    if not batch:
        raise ValueError("There must be one call at least")
    submitter().enqueue_many(
        _with_plan(
            call,
            Plan(
                share=Share(
                    whole=whole, index=index, count=len(batch), name=name, group=group, hook=path
                ),
                keep=keep,
            ),
        )
        for index, call in enumerate(batch)
    )
    return Gathered(id=whole, length=len(batch))


def _in_group(call: TaskCall, group: str) -> TaskCall:
    if call.options.group:
        return call
    return call._replace(options=replace(call.options, group=group))


def _with_plan(call: TaskCall, plan: Plan) -> TaskCall:
    return call._replace(options=replace(call.options, chain=plan.told()))
