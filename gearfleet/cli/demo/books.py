"""What the shop's database says of the work: results, a schedule, one of Django's tasks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gearfleet.cli.demo.stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """What ``manage.py show_books`` of the shop has seen.

    Attributes:
        recorded: how many results of background jobs are kept.
        schedule: the name of the one that the scheduler found due.
        due: when it was.
        job: the id of the job that the scheduler submitted for it.
        turnover: what that returned.
        customer: the argument of Django's task.
        status: of its job, as `get_result` tells it.
        account: what it returned; None if it did not succeed.
    """

    recorded: int
    schedule: str
    due: str
    job: str
    turnover: str
    customer: str
    status: str
    account: Mapping[str, Any] | None

    @property
    def rows(self) -> list[tuple[str, str]]:
        """Return the rows of the demo's table that do not depend on its load."""
        account = self.account or {}
        given = ", ".join(f"{name} {value}" for name, value in account.items())
        return [
            (
                f"schedule '{self.schedule}'",
                f"due {self.due}, job {self.job[:8]} gave {self.turnover}",
            ),
            (f"Django's task account({self.customer!r})", f"{self.status}: {given}"),
        ]


def read_books(stage: Stage, background: int) -> Books:
    """Return what is in the books when as many results are there as there were jobs."""
    return Books(**json.loads(stage.manage("show_books", "--json", "--wait-for", str(background))))
