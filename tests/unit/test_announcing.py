"""Who wants to know is told of each job before it is submitted, and may refuse it."""

from __future__ import annotations

import pytest

from gearfleet import Client, task
from gearfleet.config import Settings
from gearfleet.tasks import announcing
from gearfleet.tasks.announcing import Submission, before_submit


@task(name="announcing.double", queue="q")
def double(number: int) -> int:
    return 2 * number


@pytest.fixture(autouse=True)
def _nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(announcing, "_listeners", [])


def test_listener__hears_of_what_runs_in_this_process_too() -> None:
    told: list[Submission] = []
    before_submit(told.append)
    before_submit(told.append)

    with Client(Settings(always_eager=True, results="none")) as client:
        assert client.submit(double, 2) == 4
    (submission,) = told
    assert (submission.task, submission.args, submission.meta.attempt) == (
        "announcing.double",
        (2,),
        1,
    )


def test_listener__that_raises_keeps_the_job_from_being_submitted() -> None:
    @before_submit
    def refuse(submission: Submission) -> None:
        raise ValueError(f"not {submission.task}")

    # Nobody listens there: were it submitted, the error would be another one.
    client = Client(Settings(servers=("127.0.0.1:1",)))
    with client, pytest.raises(ValueError, match=r"not shop\.any"):
        client.delay("shop.any", 1)
