"""How the admin's pages show what gearfleet knows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.utils import timezone
from django.utils.translation import gettext

from gearfleet.tasks.failure import decode_failure

if TYPE_CHECKING:
    from collections.abc import Callable

    from gearfleet.results import Sealed

#: Characters that a cell of a list has room for.
SHORT = 100
#: Characters of a page of one job; a browser does not like a text of megabytes.
LONG = 20_000


def shortened(text: str, limit: int = SHORT) -> str:
    """Return the first line of a text, and no more than `limit` characters of it."""
    line, *more = text.splitlines() or [""]
    if len(line) > limit:
        return f"{line[: limit - 3]}..."
    return f"{line} ..." if more and limit == SHORT else line


def cut(text: str) -> str:
    """Return a text of many lines; of one that is too long, the beginning."""
    if len(text) <= LONG:
        return text
    more = gettext("... %d characters more") % (len(text) - LONG)
    return f"{text[:LONG]}\n{more}"


def moment(seconds: float) -> str:
    """Return a moment of the epoch in the user's time zone; nothing for one that is not known."""
    if not seconds:
        return ""
    found = datetime.fromtimestamp(seconds, UTC).astimezone(timezone.get_current_timezone())
    return f"{found:%Y-%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """Return for how long something took.

    Example:
        >>> [duration(each) for each in (0.0123, 12.3, 4000)]
        ['12 ms', '12.3 s', '1 h 6 min']
    """
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    hours, minutes = divmod(int(seconds) // 60, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"


def call_of(sealed: Sealed) -> str:
    """Return the call that a job was, as one would write it; its JSON if that cannot be read."""
    return _read(lambda: _call(sealed), sealed.arguments)


def result_of(sealed: Sealed) -> str:
    """Return what a job returned, as Python shows it; its JSON if that cannot be read."""
    return _read(lambda: repr(sealed.record().result), sealed.result)


def reason_of(sealed: Sealed) -> str:
    """Return why a job failed."""
    return str(decode_failure(sealed.failure))


def traceback_of(sealed: Sealed) -> str:
    """Return where a job failed; nothing where that is not known."""
    return decode_failure(sealed.failure).traceback


def _call(sealed: Sealed) -> str:
    record = sealed.record()
    if not record.has_arguments:
        return gettext("%s(...): the arguments are not kept") % record.task
    named = (f"{name}={value!r}" for name, value in record.kwargs.items())
    return f"{record.task}({', '.join([*map(repr, record.args), *named])})"


def _read(show: Callable[[], str], raw: Any) -> str:
    try:
        return show()
    except Exception:  # what another release or another language wrote
        return bytes(raw).decode("utf-8", "replace")
