"""What a line of the log holds: an event, and the job that it belongs to.

`gearfleet worker` uses these by itself. A project that configures logging of its
own names them there:

    LOGGING = {
        "version": 1,
        "filters": {"job": {"()": "gearfleet.logs.JobFilter"}},
        "formatters": {"json": {"()": "gearfleet.logs.JsonFormatter"}},
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "filters": ["job"],
                "formatter": "json",
            },
        },
        "root": {"handlers": ["console"], "level": "INFO"},
    }

Neither formatter raises, whatever is logged: the arguments do not fit the
message, an object has no text, a text no UTF-8, a dict contains itself. A task
that logs is never failed by its log.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import islice
from math import isfinite
from typing import Any

#: Characters of a message, a traceback or an extra that are written; log collectors cut
#: lines, and a whole payload that went into a message would fill the disk.
MAX_TEXT = 32_768
#: How deep, and how many items of, a value among the extras is written as it is.
_MAX_DEPTH, _MAX_ITEMS = 5, 200
#: JSON has no limit, but the readers of most languages have.
_MAX_INTEGER_BITS = 64

#: The fields by which a record says of which job it is, with what they are outside of one.
NO_JOB: Mapping[str, Any] = {"job_id": "", "attempt": 0, "task": ""}

#: What every record has: the other attributes came as `extra`.
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_FIXED = ("time", "level", "logger", "pid", "message", "action", "exception", "stack")


class JobFilter(logging.Filter):
    """Gives records the fields `job_id`, `attempt` and `task`; it takes none away.

    They are empty outside of a job, so that a format may name them; what a line
    says in its `extra` stays. A thread that a task started knows of no job.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Add what is missing, and let the record pass."""
        for name, value in job_fields().items():
            record.__dict__.setdefault(name, value)
        return True


def job_fields() -> Mapping[str, Any]:
    """Return the fields of the job in hand, or those of none."""
    # Who has no tasks, such as the parent of a pool, does not import them for its log.
    current = sys.modules.get("gearfleet.tasks.current")
    in_hand = getattr(current, "job_in_hand", None)  # which may just be importing them
    if current is None or in_hand is None or (told := in_hand.get()) is None:
        return NO_JOB
    job = current.CurrentJob(*told)
    try:
        return {"job_id": job.id, "attempt": job.attempt, "task": job.task}
    except Exception:  # a job of other clients has no id where there is no job server
        return {**NO_JOB, "task": job.task}


class HumanFormatter(logging.Formatter):
    """One line per event; what follows of a message or a traceback is indented.

    So a line that begins with a date begins an event, whatever a message holds.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the event as text."""
        first, *more = _message(record).splitlines() or [""]
        for part in (_exception(record), _stack(record)):
            more += part.splitlines()
        return "\n  ".join([self.head(record, first + _told_job(record)), *more])

    def head(self, record: logging.LogRecord, message: str) -> str:
        """Return the first line, which ends with `message`."""
        return (
            f"{self.formatTime(record)} {record.levelname:<8} [{record.process}] "
            f"{record.name}: {message}"
        )


class ZtaskFormatter(HumanFormatter):
    """The same, with a first line as django-ztask has it: time - logger - level - message."""

    def head(self, record: logging.LogRecord, message: str) -> str:
        """Return the first line, which ends with `message`."""
        return f"{self.formatTime(record)} - {record.name} - {record.levelname} - {message}"


def _told_job(record: logging.LogRecord) -> str:
    if not getattr(record, "job_id", None):
        return ""
    fields = {name: _text(getattr(record, name, "")) for name in NO_JOB}
    return " [job={job_id} attempt={attempt} task={task}]".format(**fields)


class JsonFormatter(logging.Formatter):
    r"""One JSON object per line, in ASCII.

    Its fields are `time` (UTC, with milliseconds), `level`, `logger`, `pid`, `message`,
    `action` where the event has one, `exception` and `stack` where there are, and
    each `extra`; one that has the name of a field is called `extra_NAME`.

    ASCII, because it is the same in every locale and to every reader. What no text
    in UTF-8 can hold, a lone surrogate, becomes the characters ``\udc80``: strict readers
    refuse the whole line for the escape that JSON itself would have.

    Attributes:
        constant: fields that are in each line, such as the name of the program.
    """

    def __init__(self, constant: Mapping[str, str] | None = None) -> None:
        """Write `constant` in each line."""
        super().__init__()
        self.constant = dict(constant or {})

    def format(self, record: logging.LogRecord) -> str:
        """Return the event as one line."""
        try:
            return json.dumps({**self._fixed(record), **_extras(record)})
        except Exception as error:  # of a class that lies about itself
            told = {"level": record.levelname, "logger": record.name, "message": _message(record)}
            return json.dumps({"time": _time(record), **told, "log_error": type(error).__name__})

    def _fixed(self, record: logging.LogRecord) -> dict[str, Any]:
        optional = {
            "action": _plain(getattr(record, "action", "")),
            "exception": _exception(record),
            "stack": _stack(record),
        }
        return {
            "time": _time(record),
            "level": _text(record.levelname),
            "logger": _text(record.name),
            "pid": record.process,
            **self.constant,
            "message": _message(record),
            **{name: value for name, value in optional.items() if value},
        }


def _extras(record: logging.LogRecord) -> dict[str, Any]:
    extras = {}
    for name, value in vars(record).items():
        if name in _STANDARD or name == "action" or (name in NO_JOB and not value):
            continue
        extras[f"extra_{name}" if name in _FIXED else _text(name)] = _plain(value)
    return extras


def _time(record: logging.LogRecord) -> str:
    moment = datetime.fromtimestamp(record.created, UTC)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _message(record: logging.LogRecord) -> str:
    try:
        return _text(record.getMessage())
    except Exception:
        return _text(f"{_shown(record.msg)} % {_shown(record.args)}")


def _exception(record: logging.LogRecord) -> str:
    if not record.exc_info or not record.exc_info[0]:
        return _text(record.exc_text or "")
    try:
        return _text("".join(traceback.format_exception(*record.exc_info)).rstrip("\n"))
    except Exception:
        return f"{record.exc_info[0].__name__}, whose traceback cannot be shown"


def _stack(record: logging.LogRecord) -> str:
    return _text(record.stack_info or "")


def _plain(value: object, depth: int = 0) -> Any:
    """Return `value` as far as JSON has it; what it lacks becomes its `repr`."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int):
        return int(value) if value.bit_length() <= _MAX_INTEGER_BITS else hex(value)
    if isinstance(value, float) and isfinite(value):
        return value
    if depth < _MAX_DEPTH and isinstance(value, Mapping):
        return _table(value, depth + 1)
    if depth < _MAX_DEPTH and isinstance(value, list | tuple | set | frozenset):
        items = [_plain(item, depth + 1) for item in islice(value, _MAX_ITEMS)]
        return items if len(items) == len(value) else [*items, f"... of {len(value)}"]
    return _text(_shown(value))


def _table(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    table = {
        _text(key if isinstance(key, str) else _shown(key)): _plain(item, depth)
        for key, item in islice(value.items(), _MAX_ITEMS)
    }
    return table if len(value) <= _MAX_ITEMS else {**table, "...": f"of {len(value)}"}


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__name__} whose repr raises {type(error).__name__}>"


def _text(value: object) -> str:
    """Return a text of sane length that UTF-8 can hold; the middle of a longer one is left out."""
    text = str(value)
    if len(text) > MAX_TEXT:
        half = MAX_TEXT // 2
        text = f"{text[:half]} ... {len(text) - 2 * half} characters ... {text[-half:]}"
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()
