"""Names: of a task, and of the function that the job server knows it by."""

from __future__ import annotations

import hashlib
import os
import re
import zlib
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Where worker modules stand by convention; these parts say nothing about a task.
CONVENTIONS = ("gearman_workers", "gearman_jobs", "tasks")

MAX_NAME_BYTES = 255

#: Ends the name of the function of delayed jobs.
LATER = "+later"

_FORBIDDEN = re.compile(r"[\s\0]")


def default_task_name(module: str, function: str) -> str:
    """Return the name of a task that was given none.

    Example:
        >>> default_task_name("shop.gearman_workers.worker_foo", "resize")
        'shop.worker_foo.resize'
        >>> default_task_name("shop.tasks", "resize")
        'shop.resize'
    """
    first, *rest = module.split(".")
    return ".".join([first, *(part for part in rest if part not in CONVENTIONS), function])


def function_name(task_name: str, prefix: str | Callable[[str], str] = "") -> str:
    """Return the function of the task `task_name`: its name on the job server.

    `prefix` is put before the name; a callable makes the whole function from
    the name; ``"cwd"`` is django-gearman's prefix, which tells the checkouts
    of one project apart.

    Raises:
        ConfigError: the result is no name that a job server takes.
    """
    if callable(prefix) or prefix == "cwd":
        return _checked(task_name, prefix)
    return _checked_once(task_name, prefix)


def _checked(task_name: str, prefix: str | Callable[[str], str]) -> str:
    function = prefix(task_name) if callable(prefix) else _prefixed(task_name, prefix)
    if problem := name_problem(function):
        raise ConfigError(f"Setting 'prefix' makes {function!r} of task '{task_name}': {problem}")
    return function


# Every submit asks for it; a callable's answer may change.
_checked_once = lru_cache(maxsize=4096)(_checked)


def later_function(function: str) -> str:
    """Return the function that the delayed jobs and the retries of `function` go to.

    A job that is not yet due hides the low ones of its function from gearmand's
    workers (F6). A name that has no room for the ending is cut and marked with
    a hash.

    Example:
        >>> later_function("shop.resize")
        'shop.resize+later'
    """
    name = function.encode()
    room = MAX_NAME_BYTES - len(LATER)
    if len(name) <= room:
        return function + LATER
    mark = hashlib.blake2b(name, digest_size=8).hexdigest()
    return name[: room - len(mark) - 1].decode(errors="ignore") + "~" + mark + LATER


def _prefixed(task_name: str, prefix: str) -> str:
    return f"{_directory_prefix()}.{task_name}" if prefix == "cwd" else prefix + task_name


@cache
def _directory_prefix() -> str:
    """Compute the prefix once, so that a later chdir does not separate client and worker."""
    return str(zlib.adler32(os.fsencode(os.getcwd())))  # noqa: PTH109 - the bytes of the path


def name_problem(name: object) -> str | None:
    """Return what is wrong with the name of a task or function, or None.

    Example:
        >>> name_problem("send mail")
        'a name has no white space'
    """
    if not isinstance(name, str):
        return "a name is a text"
    if _FORBIDDEN.search(name):
        return "a name has no white space"
    # A lone surrogate cannot be sent either; it counts as too long a name.
    if not 1 <= len(name.encode("utf-8", "surrogatepass")) <= MAX_NAME_BYTES:
        return f"a name has 1 to {MAX_NAME_BYTES} bytes"
    return None


def dotted_path(func: Callable[..., Any]) -> str:
    """Return the module and the name of a function or class, with dots between."""
    return f"{func.__module__}.{func.__qualname__}"


def hook_path(hook: Callable[..., Any] | str | None) -> str:
    """Return the dotted path of a hook, by which a worker finds it; empty for None.

    Raises:
        ValueError: it is a function without one.
    """
    if hook is None or isinstance(hook, str):
        return hook or ""
    path = dotted_path(hook)
    if "<" in path:
        raise ValueError(
            f"The hook {path} cannot be found by a worker; it must be a function at the top level "
            "of a module"
        )
    return path
