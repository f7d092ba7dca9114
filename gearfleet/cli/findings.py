"""How findings are shown: the same for every verb that has some."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from gearfleet.fleet.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gearfleet.cli.output import Output
    from gearfleet.fleet import Finding

_STYLES = {
    Severity.ERROR: "bold red",
    Severity.WARNING: "yellow",
    Severity.NOTE: "cyan",
}


def as_data(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Return `findings` as values of JSON."""
    return [asdict(each) for each in findings]


def show(findings: Sequence[Finding], output: Output) -> None:
    """Print each finding with its place and its fix, the worst first."""
    from rich.text import Text

    console = output.console(output.stdout)
    for each in findings:
        head = Text.assemble((f"{each.code} {each.severity}", _STYLES[each.severity]))
        if each.place:
            head.append(f"  {each.place}")
        if each.setting:
            head.append(f"  ({each.setting})")
        for line in (head, Text(f"  {each.message}"), Text(f"  Fix: {each.fix}", style="dim")):
            console.print(line, soft_wrap=True)


def summary(findings: Iterable[Finding]) -> str:
    """Return how many there are of each kind, such as ``2 errors, 1 note``."""
    severities = [each.severity for each in findings]
    counts = [(severities.count(kind), str(kind)) for kind in Severity]
    return ", ".join(f"{n} {kind}{'s' if n > 1 else ''}" for n, kind in counts if n)
