"""Which task a schedule, or a call of Django Q, means that names a cluster (QX15)."""

from __future__ import annotations

import pytest

from gearfleet import config, task
from gearfleet.compat.django_q.calls import call_of, split_options
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


def test_call__goes_to_the_cluster_that_it_names(caplog: pytest.LogCaptureFixture) -> None:
    names = []
    with config.using(SETTINGS):
        for cluster in ("long", "shop", "back"):
            options, named = split_options({"cluster": cluster, "x": 1})
            names.append(call_of(report, (), named, options).name)
    assert names == ["shop.report@long", "shop.report", "shop.report"]
    assert caplog.text.count("does nothing here: Cluster 'back' does not run") == 1
