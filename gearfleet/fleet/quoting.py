"""Text that Supervisor's parser reads back exactly as it was meant, or a refusal.

Between a value and the worker stand three readers: the ini parser (cuts at
white space followed by ``;`` or ``#``, strips the ends), the ``%`` expansion,
and shlex (for ``command`` in POSIX mode, for ``environment`` in legacy mode up
to Supervisor 4.3 and POSIX mode after it). Each function here writes one kind
of value for all its readers, on every supported version, or raises `Refused`.

A ``%`` is literal, save in `log_file` and `process_name`, which may hold
Supervisor's own expansions. ``%(here)s`` has a fourth reader: in an included
file it is replaced before anything else, even as ``%%(here)s``, so no line may
contain it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]")
_COMMENT = re.compile(r"(\s)([;#])")
_HERE = "%(here)s"
_BARE_ARGUMENT = re.compile(r"[A-Za-z0-9_@%+=:,./-]+")

_EXPANSIONS_IN_WORDS = (
    "%(program_name)s, %(group_name)s, %(host_node_name)s and %(process_num)02d "
    "(in process_name and log files)"
)
_NUMBER = r"%\(process_num\)0?[0-9]{0,2}d"
_EXPANSION = re.compile(rf"%\((?:program_name|group_name|host_node_name)\)s|{_NUMBER}")
_LOOKS_EXPANDED = re.compile(r"%\((\w*)\)")
_PROCESS_NAME = re.compile(rf"(?:[A-Za-z0-9_.-]|{_EXPANSION.pattern})+")

#: What Supervisor takes for something else than a log file's path, in any case of letters.
LOG_WORDS = ("auto", "none", "off", "syslog")

_OTHER_FILE = "put it into a file that the worker reads"


class Refused(ValueError):
    """Why a value cannot be written, and the way out; the caller adds whose value it is."""


def plain(value: str) -> str:
    """Return the text for a literal value such as ``user``."""
    _refuse_unwritable(value)
    _refuse_comment(value)
    if value != value.strip():
        raise Refused("begins or ends with white space, which Supervisor strips; leave it out")
    if not value:
        raise Refused("is empty; leave the setting out")
    return _literal(value)


def log_file(value: str) -> str:
    """Return the text for ``stdout_logfile`` and ``stderr_logfile``.

    The value may hold Supervisor's expansions; any other ``%`` is literal.
    """
    literal = _EXPANSION.sub("x", value)
    _refuse_expansion(literal)
    plain(literal)
    kept = [*_EXPANSION.findall(value), ""]
    # Supervisor 4.2.5 and 4.3.0 expand a log file twice.
    return "".join(
        part.replace("%", "%%%%") + expansion
        for part, expansion in zip(_EXPANSION.split(value), kept, strict=True)
    )


def fixed_path(value: str) -> str:
    """Return the text for ``directory``, which is one for all processes."""
    _refuse_expansion(value)
    return plain(value)


def process_name(value: str) -> str:
    """Return the text for ``process_name``: name characters and Supervisor's expansions."""
    _refuse_expansion(_EXPANSION.sub("x", value))
    if not _PROCESS_NAME.fullmatch(value):
        raise Refused(
            "may hold letters, digits, '_', '.', '-' and Supervisor's expansions, such as "
            "%(program_name)s_%(process_num)02d"
        )
    return value


def has_process_number(value: str) -> bool:
    """Tell whether `value` is another text for each process."""
    return re.search(_NUMBER, value) is not None


def expand(value: str, names: Mapping[str, str | int]) -> str:
    """Return what `value` with Supervisor's expansions means where the expansions are `names`.

    Example:
        >>> expand("%(program_name)s_%(process_num)02d 5%", {"program_name": "a", "process_num": 7})
        'a_07 5%'
    """
    return _EXPANSION.sub(lambda match: match[0] % names, value)


def argument(value: str) -> str:
    """Return one argument of ``command``; every text without control characters has a form."""
    _refuse_unwritable(value)
    if _BARE_ARGUMENT.fullmatch(value):
        return value.replace("%", "%%")
    # Two quotes end the quotation and begin it again. shlex sees nothing; the
    # ini parser no longer sees white space before ';', nor '%(here)s' in one piece.
    inner = value.replace("'", "'\"'\"'")
    inner = _COMMENT.sub(r"\1''\2", inner).replace(_HERE, "%''(here)s")
    return f"'{inner}'".replace("%", "%%")


def command(arguments: Iterable[str]) -> str:
    """Return the text for ``command``, which runs `arguments` without a shell."""
    return " ".join(argument(item) for item in arguments)


def variable(value: str) -> str:
    """Return one value of ``environment``, on which both of Supervisor's parsers agree."""
    _refuse_unwritable(value)
    _refuse_comment(value)
    if "'" not in value and not _edged(value, '"'):
        return f"'{_literal(value)}'"
    if '"' not in value and "\\" not in value and not _edged(value, "'"):
        return f'"{_literal(value)}"'
    raise Refused(
        "holds quotes that Supervisor's parsers read differently (both kinds, one at an end, "
        f"or ' with a backslash); {_OTHER_FILE}"
    )


def _literal(value: str) -> str:
    if _HERE in value:
        raise Refused(f"holds {_HERE}, which Supervisor replaces with a path even when escaped")
    return value.replace("%", "%%")


def _edged(value: str, quote: str) -> bool:
    return value.startswith(quote) or value.endswith(quote)


def _refuse_unwritable(value: str) -> None:
    if found := _UNWRITABLE.search(value):
        what = "a newline" if found[0] == "\n" else f"the control character {found[0]!r}"
        raise Refused(f"holds {what}, which a configuration line cannot carry; {_OTHER_FILE}")


def _refuse_comment(value: str) -> None:
    if found := _COMMENT.search(value):
        raise Refused(
            f"holds white space followed by '{found[2]}', where Supervisor cuts a value off; "
            f"leave the space out, or {_OTHER_FILE}"
        )


_REFUSED_EXPANSIONS = {
    "numprocs": "it would change every process whenever the fleet is scaled; write the number",
    "here": "it would be the folder of whatever file this ends up in; relative paths are "
    "relative to the project's directory",
}


def _refuse_expansion(value: str) -> None:
    """Refuse what reads like an expansion, lest a typing error becomes a path."""
    for name in _LOOKS_EXPANDED.findall(value):
        if name.startswith("ENV_"):
            reason = "where supervisord lacks that variable it refuses its whole configuration"
        else:
            reason = _REFUSED_EXPANSIONS.get(name, f"the expansions are {_EXPANSIONS_IN_WORDS}")
        raise Refused(f"holds %({name}): {reason}")
