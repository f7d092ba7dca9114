"""Code of yours that runs when a worker starts, around each job, and when the worker ends.

    from gearfleet import hooks

    @hooks.on_shutdown
    def say_goodbye(reason):
        ...

A hook that is declared in a worker module (any module with a task in it)
belongs to it: it runs in the workers that serve that module. Declared in any
other module it is global: it runs in every worker whose process imported that
module. The setting ``hooks`` names further ones by dotted path; their modules
are imported for it.

`on_fork`, `on_start` and `before_job` hooks run in this order: those of the settings,
the global ones, those of the worker module, each in order of declaration.
`after_job`, `on_failure`, `on_drain` and `on_shutdown` hooks run in the reverse order, so that what
was set up last is torn down first.

A hook takes what it needs: its parameters without a default are filled from
the left with what is offered (`OFFERED`), so ``def say_goodbye():`` will do.
One that raises is logged, and the others run.
"""

from __future__ import annotations

import logging
from functools import cache
from importlib import import_module
from inspect import Parameter, iscoroutinefunction, signature
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gearfleet.errors import ConfigError, JobInterrupted
from gearfleet.tasks.declarations import declared_in
from gearfleet.worker.installed import entry_points

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from importlib.metadata import EntryPoint

logger = logging.getLogger(__name__)

F = TypeVar("F", bound="Callable[..., object]")

#: The kinds of hook, and what each is called with.
OFFERED: Mapping[str, tuple[str, ...]] = {
    "on_start": ("worker",),
    "on_fork": ("worker",),
    "before_job": ("job",),
    "after_job": ("job", "outcome"),
    "on_failure": ("job", "outcome"),
    "on_drain": ("reason",),
    "on_shutdown": ("reason",),
}

#: The entry points by which packages bring `on_failure` hooks.
REPORTERS = "gearfleet.error_reporters"

_declared: dict[str, dict[str, Hook]] = {kind: {} for kind in OFFERED}


def on_start(func: F) -> F:
    """Run `func(worker)` before the worker takes its first job; `worker` is a `WorkerInfo`."""
    return _declare("on_start", func)


def on_fork(func: F) -> F:
    """Run `func(worker)` in each worker of a pool when it was forked, before its start hooks.

    For what forked processes must not share, such as connections.
    """
    return _declare("on_fork", func)


def before_job(func: F) -> F:
    """Run `func(job)` before each call of a task; `job` is a `gearfleet.worker.job.Job`."""
    return _declare("before_job", func)


def after_job(func: F) -> F:
    """Run `func(job, outcome)` after each call of a task; `outcome` is `Completed` or `Failed`.

    It runs before the answer is sent. An interrupted job has no outcome yet.
    """
    return _declare("after_job", func)


def on_failure(func: F) -> F:
    """Run `func(job, outcome)` when a job has failed for good: no attempt follows.

    For what collects errors. ``sys.exc_info()`` is the error; `outcome` is `Failed`. Jobs
    that were not run are among them: expired, quarantined, unreadable.
    """
    return _declare("on_failure", func)


def on_drain(func: F) -> F:
    """Run `func(reason)` when the worker begins to drain, in a thread beside the job in hand.

    It delays nothing; in the end the worker waits for it, within `hook_timeout`.
    """
    return _declare("on_drain", func)


def on_shutdown(func: F) -> F:
    """Run `func(reason)` once before the worker ends, also when a job was interrupted.

    `reason` is a text such as ``"SIGTERM"``. All these hooks share the
    worker's `hook_timeout`; those that do not get their turn are named in the log.
    """
    return _declare("on_shutdown", func)


class Hook:
    """One function, and how many of the things that its kind offers it takes."""

    # Read for every job: a slot takes half of a named tuple's time.
    __slots__ = ("func", "takes")

    def __init__(self, func: Callable[..., object], takes: int) -> None:
        self.func = func
        self.takes = takes

    @property
    def name(self) -> str:
        return f"{self.func.__module__}.{getattr(self.func, '__qualname__', repr(self.func))}"

    def run(self, *offered: object) -> None:
        """Call the function; whatever it raises, except for an interruption, is logged."""
        try:
            self.func(*offered[: self.takes])
        except JobInterrupted:
            raise
        except BaseException as error:  # also sys.exit(): a hook does not end the worker
            logger.exception(
                "Hook %s raised %s; the worker goes on without it",
                self.name,
                type(error).__name__,
                extra={"action": "hook_failed", "hook": self.name},
            )


class Hooks(NamedTuple):
    """The hooks of one worker, in the order in which they run."""

    on_start: tuple[Hook, ...] = ()
    on_fork: tuple[Hook, ...] = ()
    before_job: tuple[Hook, ...] = ()
    after_job: tuple[Hook, ...] = ()
    on_failure: tuple[Hook, ...] = ()
    on_drain: tuple[Hook, ...] = ()
    on_shutdown: tuple[Hook, ...] = ()


def select(module: str, paths: Mapping[str, Sequence[str]] | None = None) -> Hooks:
    """Return the hooks of a worker that serves `module`; `paths` is the setting ``hooks``.

    Several modules are joined by commas. Each one's hooks hold for the whole worker.

    Raises:
        ConfigError: a path of the settings cannot be imported or is no hook.
    """
    named = {kind: _load(kind, (paths or {}).get(kind, ())) for kind in OFFERED}
    named["on_failure"] += _reporters()
    return Hooks(**{kind: _ordered(kind, hooks, module) for kind, hooks in named.items()})


def run(hooks: Sequence[Hook], *offered: object) -> None:
    """Run `hooks` in order; only an interruption keeps one from its turn, and it is logged."""
    done = 0
    try:
        for hook in hooks:
            hook.run(*offered)
            done += 1
    except JobInterrupted:
        if waiting := hooks[done:]:  # none, if it came when the last one had ended
            logger.error(
                "Hook %s was cut short; not run: %s",
                waiting[0].name,
                ", ".join(hook.name for hook in waiting[1:]) or "none",
                extra={"action": "hooks_cut", "hooks": [hook.name for hook in waiting]},
            )
        raise


def _declare(kind: str, func: F) -> F:
    hook = _hook(kind, func)
    # By name, so that a module that is imported again replaces its own hooks.
    _declared[kind][hook.name] = hook
    return func


def _hook(kind: str, func: Callable[..., object]) -> Hook:
    if not callable(func) or iscoroutinefunction(func):
        raise TypeError(f"@hooks.{kind} takes a plain function, not {func!r}")
    offered = OFFERED[kind]
    needed = [parameter.kind for parameter in _parameters(func) if _is_filled(parameter)]
    if Parameter.VAR_POSITIONAL in needed:
        return Hook(func, len(offered))
    if len(needed) > len(offered) or Parameter.KEYWORD_ONLY in needed:
        raise TypeError(
            f"{getattr(func, '__qualname__', func)}{signature(func)} cannot be a hook: "
            f"{kind} offers ({', '.join(offered)}) by position; give other parameters a default"
        )
    return Hook(func, len(needed))


def _parameters(func: Callable[..., object]) -> Iterator[Parameter]:
    try:
        yield from signature(func).parameters.values()
    except ValueError:  # some functions written in C do not tell
        return


def _is_filled(parameter: Parameter) -> bool:
    return parameter.default is Parameter.empty and parameter.kind is not Parameter.VAR_KEYWORD


@cache
def _reporters() -> tuple[Hook, ...]:
    """Return the `on_failure` hooks of installed packages; the workers of a pool share them."""
    return tuple(_load_entry(entry) for entry in entry_points(REPORTERS))


def _load_entry(entry: EntryPoint) -> Hook:
    try:
        return _hook("on_failure", entry.load())
    except Exception as error:
        raise ConfigError(
            f"The error reporter '{entry.name}' ({entry.value}) of an installed package cannot be "
            f"used: {type(error).__name__}: {error}; mend or remove the package"
        ) from error


def _load(kind: str, paths: Sequence[str]) -> tuple[Hook, ...]:
    return tuple(_load_one(kind, path) for path in paths)


def _load_one(kind: str, path: str) -> Hook:
    separator = ":" if ":" in path else "."
    module, _, attribute = path.rpartition(separator)
    try:
        func: Any = attrgetter(attribute)(import_module(module))
        return _hook(kind, func)
    except Exception as error:
        raise ConfigError(
            f"Setting 'hooks.{kind}': '{path}' cannot be used: {type(error).__name__}: {error}; "
            'write "package.module.function"'
        ) from error


def _ordered(kind: str, named: tuple[Hook, ...], module: str) -> tuple[Hook, ...]:
    listed = {hook.func for hook in named}
    declared = [hook for hook in _declared[kind].values() if hook.func not in listed]
    served = tuple(f"{each}." for each in module.split(","))
    own = [hook for hook in declared if f"{hook.func.__module__}.".startswith(served)]
    free = [hook for hook in declared if hook not in own and not declared_in(hook.func.__module__)]
    ordered = (*named, *free, *own)
    return ordered if kind in {"on_start", "on_fork", "before_job"} else ordered[::-1]
