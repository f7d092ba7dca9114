"""Q1 to Q6, Q21, QX1 to QX8, QX12: what Django Q's users call, and the results that they get."""

from __future__ import annotations

import logging
import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest

import gearfleet
from gearfleet.compat import django_q
from gearfleet.compat.django_q import (
    AsyncTask,
    Chain,
    Iter,
    async_chain,
    async_iter,
    async_task,
    count_group,
    delete_cached,
    delete_group,
    fetch,
    fetch_group,
    get_task,
    result,
    result_group,
)
from gearfleet.errors import JobFailed, UnknownName
from gearfleet.results import open_store
from gearfleet.tasks import SubmitOptions
from tests.support.django_q import q_project
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.django_q import QProject
    from tests.support.job_servers import JobServer

#: Milliseconds; Django Q's unit.
WAIT = 20_000


@pytest.fixture(scope="module", params=["gearmand", "embedded"])
def q(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[QProject]:
    """A project with a worker process, for each job server; its settings are those of the process."""
    server: JobServer = request.getfixturevalue(request.param)
    with q_project(tmp_path_factory.mktemp("q"), server.address) as project:
        yield project


def test_q01__async_by_getattr(q: QProject) -> None:
    job = getattr(django_q, "async")(q.path("add"), 2, b=3, hook=q.path("tell"))
    assert re.fullmatch("[0-9a-f]{32}", job)
    assert result(job, WAIT) == 5
    q.wait_for_note(f"hook {job} success 5")


def test_q02__function_forms(q: QProject) -> None:
    for func in (q.path("add"), q.function("add"), q.module.add, q.module.add.func):
        assert result(async_task(func, 1, 2), WAIT) == 3


def test_q02__what_is_no_task_is_refused(q: QProject) -> None:
    for func in ("os.getpid", q.path("not_a_task"), q.module.not_a_task):
        with pytest.raises(UnknownName, match=r"is no task: .*Put @gearfleet\.task above"):
            async_task(func)


def test_q03__result_and_get_task(q: QProject) -> None:
    job = async_task(q.path("cost"), "1.50", task_name=f"price {q.package}")
    price = result(job, WAIT)
    assert price == Decimal("1.50")
    assert type(price) is Decimal
    for key in (job, f"price {q.package}"):
        task = get_task(key)
        assert task is not None
        assert (task.id, task.result, task.success) == (job, price, True)
    assert result("no such job") is None
    assert get_task("no such job") is None


def test_q04__hooks_by_path_and_callable(q: QProject) -> None:
    for hook in (q.path("tell"), q.module.tell):
        job = async_task(q.path("add"), 1, hook=hook)
        q.wait_for_note(f"hook {job} success 1")


def test_q04__hooks_of_a_failure(q: QProject) -> None:
    job = async_task(q.path("breaks"), hook=q.path("tell"))
    q.wait_for_note(f"hook {job} failure None")


def test_q04__the_errors_of_hooks_are_logged(q: QProject) -> None:
    job = async_task(q.path("add"), 1, hook=q.path("bad_hook"))
    assert result(job, WAIT) == 1
    q.wait_for_note("bad hook")
    q._processes[0].wait_for_output(f"Hook {q.path('bad_hook')} of job {job} raised RuntimeError")


def test_q04__a_hook_that_no_worker_finds_is_refused(q: QProject) -> None:
    with pytest.raises(ValueError, match="top level of a module"):
        async_task(q.path("add"), 1, hook=lambda _record: None)


def test_q05__the_task_model(q: QProject) -> None:
    job = async_task(q.path("add"), 1, b=2, group="q05", hook=q.path("tell"))
    task = fetch(job, WAIT)
    assert task is not None
    assert (task.func, list(task.args), task.kwargs) == (q.function("add"), [1], {"b": 2})
    assert (task.group, task.hook, task.attempt_count) == ("q05", q.path("tell"), 1)
    assert 0 <= task.time_taken() < 60
    assert task.started <= task.stopped
    assert task.group_count() == 1
    assert task.group_result() == [3]
    assert task.group_delete(tasks=True) == 1


def test_q05__of_a_failure(q: QProject) -> None:
    task = fetch(async_task(q.path("breaks"), "the reason"), WAIT)
    assert task is not None
    assert not task.success
    assert "ValueError: the reason" in task.result
    assert "Traceback" in task.result


@pytest.fixture(params=["gearmand", "embedded"])
def server(request: pytest.FixtureRequest) -> str:
    chosen: JobServer = request.getfixturevalue(request.param)
    return chosen.address


def run_all(project: QProject, count: int) -> list[str]:
    """Run jobs one after the other; return their ids."""
    jobs = []
    for number in range(count):
        jobs.append(async_task(project.path("add"), number, group="kept"))
        assert result(jobs[-1], WAIT) == number
    return jobs


def test_q06__exactly_n_successes_are_kept(server: str, tmp_path: Path) -> None:
    with q_project(tmp_path, server, save_limit=3) as project:
        failed = async_task(project.path("breaks"))
        jobs = run_all(project, 5)
        assert [task.id for task in fetch_group("kept")] == jobs[-3:]
        assert fetch(failed, WAIT) is not None


def test_qx12__save_limit_0_keeps_all(server: str, tmp_path: Path) -> None:
    with q_project(tmp_path, server, save_limit=0) as project:
        run_all(project, 5)
        assert count_group("kept") == 5


def test_qx12__save_limit_minus_1_keeps_none(server: str, tmp_path: Path) -> None:
    with q_project(tmp_path, server, save_limit=-1) as project:
        lost = async_task(project.path("nothing"))
        project.wait_for_note("nothing ran")
        kept = async_task(project.path("add"), 1, save=True)
        assert result(kept, WAIT) == 1
        failed = async_task(project.path("breaks"))
        assert fetch(failed, WAIT) is not None
        assert fetch(lost) is None


def test_qx12__save_limit_per_group(server: str, tmp_path: Path) -> None:
    with q_project(tmp_path, server, save_limit=1, save_limit_per="group") as project:
        run_all(project, 3)
        assert result(async_task(project.path("add"), 7, group="other"), WAIT) == 7
        assert count_group("kept") == count_group("other") == 1


def test_qx12__save(q: QProject) -> None:
    lost = async_task(q.path("add"), 1, save=False)
    assert result(async_task(q.path("add"), 2), WAIT) == 2
    assert fetch(lost, 300) is None


def test_q21__four_words(q: QProject) -> None:
    task = fetch(async_task(q.path("add"), 1), WAIT)
    assert task is not None
    assert re.fullmatch(r"[a-z]+(-[a-z]+){3}", task.name)
    assert fetch(task.name) == task


def test_qx01__options(q: QProject) -> None:
    job = async_task(q.path("takes"), 1, x=2, group="qx01", task_name="named", save=True)
    assert result(job, WAIT) == [[1], {"x": 2}]
    assert result("named") == [[1], {"x": 2}]
    assert count_group("qx01") == 1


def test_qx01__q_options_win(q: QProject) -> None:
    """A keyword of the same name then goes to the function."""
    job = async_task(q.path("takes"), group="mine", q_options={"group": "theirs"})
    assert result(job, WAIT) == [[], {"group": "mine"}]
    task = fetch(job)
    assert task is not None
    assert task.group == "theirs"
    with pytest.raises(UnknownName, match="Did you mean 'group'"):
        async_task(q.path("takes"), q_options={"grup": "x"})


def test_qx01__a_chain(q: QProject) -> None:
    job = async_task(
        q.path("add"), 1, group="qx01c", chain=[(q.path("add"), (2,)), (q.path("nothing"),)]
    )
    assert result(job, WAIT) == 1
    assert result_group("qx01c", wait=WAIT, count=3) == [1, 2, None]


def test_qx01__what_means_nothing_is_said(q: QProject, caplog: pytest.LogCaptureFixture) -> None:
    django_q.calls.tell.cache_clear()
    with caplog.at_level(logging.WARNING):
        async_task(q.path("add"), 1, cluster="other", timeout=5)
    assert "Cluster 'other' does not run task" in caplog.text
    assert "soft_time_limit" in caplog.text


def test_qx02__none_counts_as_present(q: QProject) -> None:
    """Django Q waited on for a result that was None."""
    job = async_task(q.path("nothing"))
    assert fetch(job, WAIT) is not None
    assert result(job, -1) is None
    assert gearfleet.fetch(job, wait=None) is not None


def test_qx02__by_name(q: QProject) -> None:
    async_task(q.path("add"), 4, task_name="by name")
    assert result("by name", wait=WAIT) == 4


def test_qx03__groups(q: QProject) -> None:
    for number in range(3):
        async_task(q.path("add"), number, group="qx03")
    async_task(q.path("breaks"), group="qx03")
    assert len(fetch_group("qx03", wait=WAIT, count=4)) == 4
    assert sorted(result_group("qx03")) == [0, 1, 2]
    assert len(result_group("qx03", failures=True)) == 4
    assert len(fetch_group("qx03", failures=False)) == 3
    assert count_group("qx03") == 4
    assert count_group("qx03", failures=True) == 1
    job = fetch_group("qx03")[0].id
    assert delete_group("qx03") == 4
    assert count_group("qx03") == 0
    assert fetch(job) is not None


def test_qx03__count_without_wait_does_not_block(q: QProject) -> None:
    assert result_group("qx03 nobody", count=5) == []


def test_qx03__delete_with_the_tasks(q: QProject) -> None:
    job = async_task(q.path("add"), 1, group="qx03d")
    assert result(job, WAIT) == 1
    assert delete_group("qx03d", tasks=True) == 1
    assert fetch(job) is None


def test_qx04__async_iter(q: QProject) -> None:
    job = async_iter(q.path("add"), [1, (2, 3), 4], hook=q.path("tell"))
    assert result(job, WAIT) == [1, 5, 4]
    q.wait_for_note(f"hook {job} success [1, 5, 4]")


def test_qx04__iter(q: QProject) -> None:
    many = Iter(q.path("add"), kwargs={"b": 10})
    assert many.result() is None
    for number in range(20):
        many.append(number)
    assert many.length() == 20
    many.run()
    assert many.result(WAIT) == [number + 10 for number in range(20)]
    task = many.fetch()
    assert task is not None
    assert task.success


def test_qx04__one_of_them_fails(q: QProject) -> None:
    job = async_iter(q.path("breaks"), ["this", "that"])
    task = fetch(job, WAIT)
    assert task is not None
    assert not task.success
    assert "ValueError: th" in task.result


def test_qx04__more_than_the_save_limit(server: str, tmp_path: Path) -> None:
    with q_project(tmp_path, server, save_limit=2) as project:
        job = async_iter(project.path("add"), range(10))
        assert result(job, WAIT) == list(range(10))


def test_qx04__our_own(q: QProject) -> None:
    add = q.module.add
    gathered = gearfleet.gather(add.call(number, b=1) for number in range(3))
    assert gathered.result(20) == [1, 2, 3]
    with pytest.raises(JobFailed, match="1 of 2 jobs failed"):
        gearfleet.gather([add.call(1), q.module.breaks.call()]).result(20)


def test_qx05__async_chain(q: QProject) -> None:
    group = async_chain([(q.path("add"), (1,)), (q.path("add"), (2,), {"b": 3}), q_step(q)])
    assert result_group(group, wait=WAIT, count=3) == [1, 5, None]


def q_step(q: QProject) -> Any:
    return (q.path("nothing"),)


def test_qx05__chain(q: QProject) -> None:
    steps = Chain(group=f"qx05 {q.package}")
    assert steps.append(q.path("add"), 1, b=2) == 1
    assert steps.append(q.path("add"), 5) == 2
    assert steps.current() == 0
    assert steps.run() == f"qx05 {q.package}"
    assert steps.result(WAIT) == [3, 5]
    assert steps.current() == steps.length() == 2
    tasks = steps.fetch()
    assert tasks is not None
    assert [task.result for task in tasks] == [3, 5]


def test_qx05__stops_after_a_failure(q: QProject) -> None:
    group = async_chain([(q.path("breaks"),), (q.path("nothing"),)])
    (task,) = fetch_group(group, wait=WAIT, count=1)
    assert not task.success
    assert len(fetch_group(group, wait=500, count=2)) == 1


def test_qx05__goes_on_when_nothing_is_saved(server: str, tmp_path: Path) -> None:
    with q_project(tmp_path, server, save_limit=-1) as project:
        async_chain([(project.path("add"), (n,)) for n in range(3)] + [(project.path("nothing"),)])
        project.wait_for_note("nothing ran")


def test_qx05__our_own(q: QProject) -> None:
    add, breaks = q.module.add, q.module.breaks
    chained = gearfleet.chain([add.call(1, b=1), add.call(10), add.call(100)], pass_results=True)
    assert chained.result(20) == 112
    assert len(chained.records()) == 3
    with pytest.raises(JobFailed, match="boom"):
        gearfleet.chain([breaks.call(), add.call(1)]).result(20)
    anyway = gearfleet.chain([breaks.call(), add.call(1)], stop_on_failure=False)
    assert anyway.result(20) == 1


def test_qx06__async_task_class(q: QProject) -> None:
    task = AsyncTask(q.path("add"), 1, b=2, group="qx06")
    assert task.result() is None
    job = task.run()
    assert task.started
    assert task.result(WAIT) == 3
    found = task.fetch()
    assert found is not None
    assert found.id == job
    assert task.result_group(wait=WAIT, count=1) == [3]
    assert len(task.fetch_group() or []) == 1
    task.group = "qx06b"
    assert not task.started
    assert task.result() is None
    assert (task.broker, task.sync, task.save, task.hook, task.cached) == (
        None, False, None, None, False,
    )  # fmt: skip


def test_qx07__cached(server: str, tmp_path: Path) -> None:
    with q_project(tmp_path, server, save_limit=-1) as project:
        job = async_task(project.path("add"), 1, cached=True)
        assert result(job, WAIT, cached=True) == 1
        assert delete_cached(job)
        assert not delete_cached(job)
        assert result(job) is None


def test_qx07__for_some_seconds(q: QProject) -> None:
    job = async_task(q.path("add"), 1, cached=0.5)
    wait_for(lambda: result(job) == 1, "the result")
    wait_for(lambda: result(job) is None, "the end of its time")


def test_qx07__iter_and_chain(q: QProject) -> None:
    assert result(async_iter(q.path("add"), [1, 2], cached=60), WAIT) == [1, 2]
    group = async_chain([(q.path("add"), (1,)), (q.path("add"), (2,))], cached=60)
    assert result_group(group, wait=WAIT, count=2) == [1, 2]


def test_qx08__sync(q: QProject) -> None:
    job = async_task(q.path("add"), 1, b=1, sync=True, hook=q.path("tell"))
    assert result(job) == 2
    assert f"hook {job} success 2" in q.diary
    with pytest.raises(ValueError, match="here"):
        async_task(q.path("breaks"), "here", sync=True, task_name="sync failure")
    task = fetch("sync failure")
    assert task is not None
    assert not task.success


def test_qx08__chains_and_iters(q: QProject) -> None:
    group = async_chain([(q.path("add"), (1,)), (q.path("add"), (2,))], sync=True)
    assert result_group(group) == [1, 2]
    assert result(async_iter(q.path("add"), [1, 2], sync=True)) == [1, 2]


def test_qx08__by_setting(server: str, tmp_path: Path) -> None:
    with q_project(tmp_path, server, starts=False, always_eager=True) as project:
        assert result(async_task(project.path("add"), 3)) == 3


def test_results_of_jobs_of_ours(q: QProject) -> None:
    """What the workers of a real project record of a plain `delay`."""
    handle = q.module.add.options(name="plain", group="plain").delay(1, b=1)
    assert handle.result(20) == 2
    store = open_store(q.settings)
    assert store is not None
    record = store.get("plain")
    assert record is not None
    assert record.server == q.settings.servers[0]
    assert record.handle
    assert SubmitOptions(id=record.id).id == handle.id
