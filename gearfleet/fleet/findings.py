"""What is wrong with a fleet, or looks so: one value for every rule.

A finding has a code that never changes its meaning (`codes`), says what was
found and where, and what to do. A rule is a function that yields findings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gearfleet.fleet.codes import CODES, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["CODES", "Finding", "Severity", "finding", "in_order", "worst"]

_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was found.

    Attributes:
        code: such as ``GF101``; what each means is in docs/reference/findings.md.
        severity: how bad it is.
        message: what was found, with its value.
        fix: what to do.
        file: in which file, where it is in one.
        line: in which line of it; 0 where that is not known.
        setting: key of the setting that gave the value, where one did.
    """

    code: str
    severity: Severity
    message: str
    fix: str
    file: str = ""
    line: int = 0
    setting: str = ""

    @property
    def place(self) -> str:
        """File and line as editors and compilers write them."""
        return f"{self.file}:{self.line}" if self.file and self.line else self.file

    @property
    def sentence(self) -> str:
        """What was found, and what to do."""
        return f"{self.message}. {self.fix}"


def finding(
    code: str,
    message: str,
    fix: str = "",
    *,
    place: tuple[str, int] = ("", 0),
    setting: str = "",
) -> Finding:
    """Return the finding `code`; without a `fix` of its own it has that of its code."""
    about = CODES[code]
    return Finding(
        code=code,
        severity=about.severity,
        message=message,
        fix=fix or _as_sentence(about.fix),
        file=place[0],
        line=place[1],
        setting=setting,
    )


def _as_sentence(fix: str) -> str:
    """Return what a code advises as it is said outside of its table."""
    text = fix.replace("`", "")
    return text[:1].upper() + text[1:]


def in_order(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return each finding once, the worst first, then by code and place."""
    once = dict.fromkeys(findings)
    key = lambda each: (_RANKS[each.severity], each.code, each.file, each.line)  # noqa: E731
    return tuple(sorted(once, key=key))


def worst(findings: Iterable[Finding]) -> Severity | None:
    """Return how bad the worst of `findings` is; None where there is none."""
    return min((each.severity for each in findings), key=_RANKS.__getitem__, default=None)
