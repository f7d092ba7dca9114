"""`AsyncTask`, `Iter` and `Chain`: Django Q's classes for one job, for many, and for a row of them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gearfleet.compat.django_q import lookups
from gearfleet.compat.django_q.calls import (
    QOptions,
    async_task,
    call_of,
    calls_of,
    split_options,
    submitter_of,
    task_of,
)
from gearfleet.outgoing import new_id
from gearfleet.tasks.naming import hook_path
from gearfleet.tasks.plans import Plan, Share, steps_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gearfleet.compat.django_q.calls import ChainItem
    from gearfleet.compat.django_q.lookups import Task


def async_iter(func: Callable[..., Any] | str, args_iter: Iterable[Any], **kwargs: Any) -> str:
    """Submit a job for each element; return the id under which their results become one list.

    A tuple is a call's arguments, anything else its only one. The list is in the
    order of the elements; that of a job that failed has None, and fails the list.
    """
    options, named = split_options(kwargs)
    task, elements = task_of(func), list(args_iter)
    if not elements:
        raise ValueError("async_iter needs one element at least")
    own = QOptions(save=options.save)
    calls = [
        call_of(task, each if isinstance(each, tuple) else (each,), named, own) for each in elements
    ]
    share = Share(
        whole=new_id(),
        index=0,
        count=len(calls),
        name=options.task_name,
        group=options.group or "",
        hook=hook_path(options.hook),
    )
    plans = [Plan(share=replace(share, index=i), keep=options.keep) for i in range(len(calls))]
    submitter_of(options.sync).enqueue_many(
        [
            call._replace(options=replace(call.options, chain=plan.told()))
            for call, plan in zip(calls, plans, strict=True)
        ]
    )
    return share.whole


def async_chain(
    chain: Iterable[ChainItem],
    group: str | None = None,
    cached: bool | float = False,
    sync: bool = False,
    broker: Any = None,
) -> str:
    """Run the calls of `chain`, tuples of (func, args, kwargs), one after the other; return the group.

    No call follows one that failed.
    """
    name = group or new_id()
    options, _ = split_options({"cached": cached, "broker": broker})
    steps = steps_of(calls_of(chain, name), new_id(), keep=options.keep)
    first = Plan(steps=steps).next_call(is_success=True, result=None)
    if first is None:
        raise ValueError("async_chain needs one call at least")
    submitter_of(sync).enqueue(*first)
    return name


def _option(name: str, default: Any = None) -> Any:
    return property(
        lambda self: self.kwargs.get(name, default),
        lambda self, value: self._set(name, value),
        doc=f"The option `{name}` of the job.",
    )


class AsyncTask:
    """One job to be submitted with `run`; to change an option makes it a job that is not started.

    Attributes:
        id: of the job, when it is started.
        started: whether it is.
    """

    broker = _option("broker")
    sync = _option("sync", default=False)
    save = _option("save")
    hook = _option("hook")
    group = _option("group")
    cached = _option("cached", default=False)

    def __init__(self, func: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> None:
        self.id = ""
        self.started = False
        self.func = func
        self.args = args
        self.kwargs = kwargs

    def run(self) -> str:
        """Submit the job; return its id."""
        self.id = async_task(self.func, *self.args, **self.kwargs)
        self.started = True
        return self.id

    def result(self, wait: int = 0) -> Any:
        """Return the result; None if there is none after `wait` ms."""
        return lookups.result(self.id, wait) if self.started else None

    def fetch(self, wait: int = 0) -> Task | None:
        """Return the job; None if it has not ended after `wait` ms."""
        return lookups.fetch(self.id, wait) if self.started else None

    def result_group(
        self,
        failures: bool = False,
        wait: int = 0,
        count: int | None = None,
    ) -> list[Any] | None:
        """Return the results of the job's group."""
        if not (self.started and self.group):
            return None
        return lookups.result_group(self.group, failures, wait, count)

    def fetch_group(
        self,
        failures: bool = True,
        wait: int = 0,
        count: int | None = None,
    ) -> list[Task] | None:
        """Return the jobs of the job's group."""
        if not (self.started and self.group):
            return None
        return lookups.fetch_group(self.group, failures, wait, count)

    def _set(self, name: str, value: Any) -> None:
        self.kwargs[name] = value
        self.started = False


class Iter:
    """Many calls of one function, whose results become one list."""

    def __init__(  # noqa: PLR0917 - Django Q's signature
        self,
        func: Callable[..., Any] | str,
        args: Iterable[Any] | None = None,
        kwargs: dict[str, Any] | None = None,
        cached: bool | float = False,
        sync: bool = False,
        broker: Any = None,
    ) -> None:
        self.func = func
        self.args = list(args or ())
        self.kwargs = kwargs or {}
        self.cached = cached
        self.sync = sync
        self.broker = broker
        self.id = ""
        self.started = False

    def append(self, *args: Any) -> int:
        """Add the arguments of a call; return how many there are."""
        self.args.append(args)
        self.started = False
        return self.length()

    def run(self) -> str:
        """Submit all calls; return the id of the list."""
        options = {"cached": self.cached, "sync": self.sync, "broker": self.broker}
        self.id = async_iter(self.func, self.args, **{**self.kwargs, **options})
        self.started = True
        return self.id

    def result(self, wait: int = 0) -> Any:
        """Return the list of results; None if it is not complete after `wait` ms."""
        return lookups.result(self.id, wait) if self.started else None

    def fetch(self, wait: int = 0) -> Task | None:
        """Return the record of the list; None if it is not complete after `wait` ms."""
        return lookups.fetch(self.id, wait) if self.started else None

    def length(self) -> int:
        """Return how many calls there are."""
        return len(self.args)


class Chain:
    """Calls that run one after the other."""

    def __init__(
        self,
        chain: Iterable[ChainItem] | None = None,
        group: str | None = None,
        cached: bool | float = False,
        sync: bool = False,
        broker: Any = None,
    ) -> None:
        self.chain = list(chain or ())
        self.group = group or ""
        self.cached = cached
        self.sync = sync
        self.broker = broker
        self.started = False

    def append(self, func: Callable[..., Any] | str, *args: Any, **kwargs: Any) -> int:
        """Add a call; return how many there are."""
        self.chain.append((func, args, kwargs))
        self.started = False
        return self.length()

    def run(self) -> str:
        """Submit the first call; return the group."""
        self.group = async_chain(self.chain, self.group, self.cached, self.sync, self.broker)
        self.started = True
        return self.group

    def result(self, wait: int = 0) -> list[Any] | None:
        """Return the results of the calls that have ended, when all have or after `wait` ms."""
        if not self.started:
            return None
        return lookups.result_group(self.group, wait=wait, count=self.length())

    def fetch(
        self,
        failures: bool = True,
        wait: int = 0,
    ) -> list[Task] | None:
        """Return the jobs that have ended, when all have or after `wait` ms."""
        if not self.started:
            return None
        return lookups.fetch_group(self.group, failures, wait, self.length())

    def current(self) -> int:
        """Return how many calls have ended."""
        return lookups.count_group(self.group) if self.started else 0

    def length(self) -> int:
        """Return how many calls there are."""
        return len(self.chain)
