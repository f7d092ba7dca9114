"""What the jobs of one task have in common is worked out once, and nothing else is."""

from __future__ import annotations

import gc
import weakref
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gearfleet.config import Settings
from gearfleet.route import Routes
from gearfleet.tasks import SubmitOptions
from gearfleet.tasks.packing import Packing, Terms

SETTINGS = Settings(prefix="shop.", client_timeout=7.0, signing_keys=("a secret of ours",))


def test_job__is_prefixed_signed_and_timed_as_the_settings_say() -> None:
    job = Routes(SETTINGS).to("resize", SubmitOptions(), waits=True).outgoing((1,), {"width": 2})
    call = Packing.of(SETTINGS).unpack(job.data, Terms("shop.resize"))
    assert call == ((1,), {"width": 2}, job.meta)
    assert (job.function, job.timeout, job.due_at) == ("shop.resize", 7.0, 0.0)
    assert (job.unique, job.meta.waits) == (f"{job.meta.id}.1", True)


def test_jobs__of_one_route_share_no_more_than_the_way() -> None:
    way = Routes(SETTINGS).to("resize", SubmitOptions(), waits=False)
    first, second = way.outgoing((1,), {}), way.outgoing((2,), {}, 1.0)
    assert first.meta.id != second.meta.id
    assert first.meta.enqueued_at <= second.meta.enqueued_at
    assert (first.timeout, second.timeout) == (7.0, 1.0)


def test_route__is_made_once_for_a_name_its_options_and_who_waits() -> None:
    routes, options, equal = Routes(SETTINGS), SubmitOptions(), SubmitOptions()
    made = [
        routes.to(name, chosen, waits=waits)
        for name in ("resize", "crop")
        for chosen in (options, equal)
        for waits in (True, False)
    ]
    assert len(set(made)) == 8
    assert routes.to("resize", options, waits=True) is made[0]


def test_route__of_options_that_are_gone_is_given_to_no_other() -> None:
    """Their identity is used again as soon as they are gone."""
    routes = Routes(SETTINGS)
    for number in range(1000):
        way = routes.to("resize", SubmitOptions(timeout=number), waits=False)
        assert way.outgoing((), {}).timeout == number


@pytest.mark.parametrize("option", ["chain", "on_data"])
def test_route__keeps_no_object_of_a_caller(option: str) -> None:
    class Theirs:
        def __call__(self, _part: object) -> None: ...

    theirs = Theirs()
    gone = weakref.ref(theirs)
    given: Any = {"chain": (theirs,), "on_data": theirs}[option]
    routes = Routes(SETTINGS)
    routes.to("resize", SubmitOptions(**{option: given}), waits=True)
    del theirs, given
    gc.collect()
    assert gone() is None


def test_prefix__that_is_a_function_is_asked_for_each_job() -> None:
    names = iter(["first", "second"])
    routes, options = Routes(Settings(prefix=lambda _name: next(names))), SubmitOptions()
    told = [routes.to("f", options, waits=False).outgoing((), {}).function for _ in range(2)]
    assert told == ["first", "second"]


def test_due__is_counted_from_each_job_and_forgotten_when_it_is_past() -> None:
    routes = Routes(SETTINGS)
    late = routes.to("f", SubmitOptions(after=60), waits=False).outgoing((), {})
    assert late.due_at == late.meta.enqueued_at + 60
    assert late.queued_as == "shop.f+later"
    past = SubmitOptions(at=datetime.now(UTC) - timedelta(hours=1))
    assert routes.to("f", past, waits=True).outgoing((), {}).due_at == 0


def test_refused__what_nobody_waits_for_and_what_nobody_can_wait_for() -> None:
    routes = Routes(SETTINGS)
    for _ in range(2):  # nothing of it is remembered
        with pytest.raises(ValueError, match="Nobody listens to a job of f"):
            routes.to("f", SubmitOptions(on_data=print), waits=False)
        with pytest.raises(ValueError, match="A job of f for later runs in the background"):
            routes.to("f", SubmitOptions(after=1), waits=True).outgoing((), {})
