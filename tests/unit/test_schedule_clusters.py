"""Which task a schedule means that names a cluster (QX15)."""

from __future__ import annotations

import pytest

from gearfleet import task
from gearfleet.config import Settings
from gearfleet.errors import ScheduleError
from gearfleet.schedule.clusters import in_cluster


@task(name="shop.report", queue="front")
def report() -> None: ...


@task(name="shop.other", queue="back")
def other() -> None: ...


in_long = task(name="shop.report@long", queue="long")(report.func)
TASKS = (other, report, in_long)
SETTINGS = Settings(prefix="shop.")


@pytest.mark.parametrize("cluster", ["", "front", "shop"])
def test_the_task_itself(cluster: str) -> None:
    assert in_cluster(report, cluster, TASKS, SETTINGS) is report


def test_the_same_function_in_another_queue() -> None:
    assert in_cluster(report, "long", TASKS, SETTINGS) is in_long
    assert in_cluster(in_long, "front", TASKS, SETTINGS) is report


def test_a_queue_that_does_not_have_it() -> None:
    told = (
        "Cluster 'back' does not run task 'shop.report', which is declared for front, long "
        'only: declare its function for this one too, task(name="shop.report@back", queue="back")'
    )
    with pytest.raises(ScheduleError) as caught:
        in_cluster(report, "back", TASKS, SETTINGS)
    assert str(caught.value).startswith(told)
