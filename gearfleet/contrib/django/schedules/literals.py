"""Arguments as people write them in a form: Python's literals, as Django Q takes them.

    args      2, -2               'a text'              [1, 2]      (one argument, a list)
    kwargs    {'x': 1}            x=1, y='a text'

What literals lack, such as a moment or a Decimal, follows ``json:`` in the form of
the payload. Nothing is ever evaluated.
"""

from __future__ import annotations

import ast
from typing import Any

from gearfleet.errors import PayloadDecodeError, ScheduleError
from gearfleet.tasks.payload import decode_value, encode_value

JSON = "json:"


def read_args(text: str | None) -> tuple[Any, ...]:
    """Return the positional arguments that `text` means.

    Raises:
        ScheduleError: they are no literals.
    """
    if not text or not text.strip():
        return ()
    value = _literal(text)
    is_json = text.startswith(JSON)
    return tuple(value) if isinstance(value, tuple) or is_json else (value,)


def read_kwargs(text: str | None) -> dict[str, Any]:
    """Return the named arguments that `text` means.

    Raises:
        ScheduleError: they are no literals.
    """
    if not text or not text.strip():
        return {}
    try:
        value = _literal(text)
    except ScheduleError:
        value = _of_call(text)
    if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
        raise ScheduleError(f"kwargs must be like x=1 or {{'x': 1}}; they are {text!r}")
    return value


def write(value: Any) -> str:
    """Return a text that `read_args` (of a tuple) and `read_kwargs` (of a dict) read as `value`."""
    if not value:
        return ""
    text = repr(value)
    try:
        if ast.literal_eval(text) == value:
            return text
    except (ValueError, SyntaxError, TypeError):
        pass
    plain = list(value) if isinstance(value, tuple) else value
    return JSON + encode_value(plain).decode()


def _literal(text: str) -> Any:
    try:
        if text.startswith(JSON):
            return decode_value(text.removeprefix(JSON).encode())
        return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise _refused(text) from error
    except PayloadDecodeError as error:
        raise ScheduleError(f"{text!r} cannot be read: {error}") from error


def _of_call(text: str) -> dict[str, Any]:
    try:
        call = ast.parse(f"f({text})", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise _refused(text)
        return {str(each.arg): ast.literal_eval(each.value) for each in call.keywords if each.arg}
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise _refused(text) from error


def _refused(text: str) -> ScheduleError:
    return ScheduleError(f"{text!r} is no literal of Python's, such as 2, -2 or x='a text'")
