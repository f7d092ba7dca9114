"""`TaskOptions`: what `@task(...)` says of a task, and what is wrong with it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from gearfleet.tasks.codecs import CODEC_NAMES, CodecName
from gearfleet.tasks.moments import seconds_of
from gearfleet.tasks.naming import name_problem
from gearfleet.tasks.retry import BackoffLike, backoff_problem
from gearfleet.tasks.submission import PRIORITIES, Priority

if TYPE_CHECKING:
    from datetime import timedelta

#: A function, or the dotted path to one.
Callback: TypeAlias = Callable[..., Any] | str
Exceptions: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]


class TaskOptions(NamedTuple):
    """The options of a task; `gearfleet.task` says what each means."""

    name: str | None = None
    queue: str = "default"
    codec: CodecName = "envelope"
    signed: bool | None = None
    priority: Priority = "normal"
    unique: bool = False
    retries: int | None = None
    backoff: BackoffLike | None = None
    retry_for: Exceptions = (Exception,)
    no_retry_for: Exceptions = ()
    time_limit: float | timedelta | None = None
    soft_time_limit: float | timedelta | None = None
    expires: float | timedelta | None = None
    ignore_result: bool = False
    on_success: Callback | None = None
    on_failure: Callback | None = None

    def problem(self) -> str | None:
        """Return what is wrong with the first option that is wrong, or None."""
        for name, check in _CHECKS.items():
            value = getattr(self, name)
            if problem := check(value):
                return f"{'task name' if name == 'name' else name} {value!r}: {problem}"
        if self.codec == "pickle" and self.signed is False:
            return (
                "codec 'pickle' without a signature would let whoever reaches the job server run "
                "any code; leave signed=False out"
            )
        if self.soft_time_limit is not None and self.time_limit is not None:
            soft, hard = seconds_of(self.soft_time_limit, "it"), seconds_of(self.time_limit, "it")
            if soft >= hard:
                return f"soft_time_limit {soft:g} must be less than time_limit {hard:g}"
        return None


def _one_of(*known: object) -> Callable[[Any], str | None]:
    def check(value: Any) -> str | None:
        # Not `in`: 1 == True, and a list has no hash but is compared.
        is_known = any(value is one or (isinstance(value, str) and value == one) for one in known)
        return None if is_known else f"it is none of {', '.join(map(str, known))}"

    return check


def _name(value: Any) -> str | None:
    return None if value is None else name_problem(value)


def _retries(value: Any) -> str | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if value is None or is_count else "it must be a whole number, 0 or more"


def _limit(value: Any) -> str | None:
    if value is None:
        return None
    try:
        is_limit = seconds_of(value, "it") > 0
    except (TypeError, ValueError):
        is_limit = False
    return None if is_limit else "it must be more than 0 seconds, a number or a timedelta"


def _exceptions(value: Any) -> str | None:
    kinds = value if isinstance(value, tuple) else (value,)
    if all(inspect.isclass(kind) and issubclass(kind, BaseException) for kind in kinds):
        return None
    return "it must be an exception class or a tuple of them"


def _callback(value: Any) -> str | None:
    if value is None or callable(value):
        return None
    parts = value.split(".") if isinstance(value, str) else []
    if len(parts) > 1 and all(part.isidentifier() for part in parts):
        return None
    return "it must be a function or the dotted path to one, such as 'shop.hooks.tell'"


_CHECKS: dict[str, Callable[[Any], str | None]] = {
    "name": _name,
    "queue": name_problem,
    "codec": _one_of(*CODEC_NAMES),
    "signed": _one_of(True, False, None),
    "priority": _one_of(*PRIORITIES),
    "unique": _one_of(True, False),
    "retries": _retries,
    "backoff": backoff_problem,
    "retry_for": _exceptions,
    "no_retry_for": _exceptions,
    "time_limit": _limit,
    "soft_time_limit": _limit,
    "expires": _limit,
    "ignore_result": _one_of(True, False),
    "on_success": _callback,
    "on_failure": _callback,
}
