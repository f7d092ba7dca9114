"""Plans and moments as stores write them."""

from __future__ import annotations

from datetime import UTC, datetime

from gearfleet.schedule.model import Plan
from gearfleet.tasks.payload import decode_value, encode_value


def text_of(moment: datetime | None) -> str:
    """Return a moment as texts that sort as moments do: in UTC, of one length."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds") if moment else ""


def moment_of(text: str | None) -> datetime | None:
    """Undo `text_of`."""
    return datetime.fromisoformat(text) if text else None


def text_of_plan(plan: Plan) -> str:
    """Return a plan as JSON; what JSON lacks is tagged, as in the payload of a job."""
    told = {
        "task": plan.task,
        "args": list(plan.args),
        "kwargs": dict(plan.kwargs),
        "options": dict(plan.options),
        "intended_date_kwarg": plan.intended_date_kwarg,
        "intended_as_text": plan.intended_as_text,
        "cluster": plan.cluster,
    }
    return encode_value(told).decode()


def plan_of(text: str) -> Plan:
    """Undo `text_of_plan`."""
    return Plan(**decode_value(text.encode()))
