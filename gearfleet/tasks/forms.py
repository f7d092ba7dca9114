"""The ways in which the READMEs of the older projects write a call of `submit_job`.

    submit_job("resize", {"id": 7})                     one datum
    submit_job("resize", id=7, width=100)               by keyword
    submit_job("resize", args=[7], kwargs={"width": 1}) whole, whatever the names
    submit_job("resize", *[None] * 7, 7, 100)           after all seven options

An option of the submission wins over a keyword argument of the task that has
its name; such a task is called with `kwargs=`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gearfleet.errors import PayloadEncodeError


def arguments_of(
    datum: Any,
    arguments: Sequence[Any],
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
    keywords: Mapping[str, Any],
) -> tuple[list[Any], dict[str, Any]]:
    """Return the positional and the keyword arguments of the task.

    None means "not given", and nothing else does: 0, "" and {} are data. `datum`
    counts before `arguments`, and those before `args`; `kwargs` counts before
    `keywords`.

    Raises:
        PayloadEncodeError: (a TypeError) `args` is no list or `kwargs` no dict.
    """
    named = dict(keywords)
    if "data" in named:
        if datum is not None:
            raise TypeError("submit_job() got its datum twice, by position and as data=")
        datum = named.pop("data")
    if kwargs is not None:
        if not isinstance(kwargs, Mapping):
            raise PayloadEncodeError(f"kwargs must be a dict of arguments, not {kwargs!r}")
        named.update(kwargs)
    if args is not None and (isinstance(args, str | bytes) or not isinstance(args, Sequence)):
        raise PayloadEncodeError(f"args must be a list of arguments, not {args!r}")
    if datum is not None:
        return [datum], named
    return list(arguments) or list(args or ()), named


#: What each of python-gearman's options may be, None ("not given") besides.
_KINDS: Mapping[str, tuple[type, ...]] = {
    "unique": (str, bytes, bool),
    "priority": (str,),
    "background": (bool,),
    "wait_until_complete": (bool,),
    "max_retries": (int,),
    "poll_timeout": (int, float),
}

#: Those of python-gearman; they say nothing of what the caller wrote.
_DEFAULTS: Mapping[str, object] = {
    "background": False, "wait_until_complete": True, "max_retries": 0,
}  # fmt: skip


def refuse_misplaced(datum: Any, **options: Any) -> None:
    """Refuse ``submit_job("resize", 1, 2, 3)``, in which 2 and 3 became options.

    Raises:
        TypeError: an option is of the wrong kind; names the right way.
    """
    for name, value in options.items():
        kinds = _KINDS[name]
        is_bool = isinstance(value, bool) and bool not in kinds
        if value is not None and (is_bool or not isinstance(value, kinds)):
            meant = [datum, *(item for key, item in options.items() if item != _DEFAULTS.get(key))]
            shown = ", ".join(repr(item) for item in meant if item is not None)
            raise TypeError(
                f"submit_job() takes {name}={value!r} for one of its own options; give the "
                f"arguments of the task as args=[{shown}] or by keyword"
            )
    if (options.get("max_retries") or 0) < 0:
        raise ValueError(f"max_retries must be 0 or more; it is {options['max_retries']}")


def options_of(keywords: dict[str, Any], **positional: Any) -> dict[str, Any]:
    """Return the options of `submit_job`, taken out of `keywords` where they stand there."""
    merged = {}
    for name, value in positional.items():
        if name in keywords:
            if value is not None:
                raise TypeError(f"submit_job() got {name} twice, by position and by name")
            value = keywords.pop(name)  # noqa: PLW2901
        merged[name] = value
    if "timeout" in keywords:
        if merged["poll_timeout"] is not None:
            raise TypeError("submit_job() takes poll_timeout or timeout, not both")
        merged["poll_timeout"] = keywords.pop("timeout")
    if "orig_data" in keywords:
        keywords.setdefault("data", keywords.pop("orig_data"))
    return merged
