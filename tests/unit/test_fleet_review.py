"""Findings about the plan and its tasks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.fleet import draft, lint
from gearfleet.fleet.codes import Severity
from gearfleet.fleet.findings import finding, in_order, worst
from gearfleet.fleet.review import review_limits, review_serving
from gearfleet.tasks import App, Registry, Task, WorkerModule
from tests.support.fleets import settings

if TYPE_CHECKING:
    from gearfleet.fleet import Finding, Fleet


def _work() -> None:
    """Stand in for the function of a task."""


def registry(**options: Any) -> Registry:
    """Return one task, `shop.resize`, of queue bar in worker_bar."""
    task: Task[Any, Any] = Task(_work, name="shop.resize", queue="bar", **options)
    app = App(name="shop", label="shop")
    module = "shop.gearman_workers.worker_bar"
    return Registry(
        modules=(WorkerModule(app=app, worker="worker_bar", module=module, tasks=(task,)),)
    )


def drafted(tasks: Registry, host: str | None = None, **table: Any) -> Fleet:
    return draft(tasks, settings(**table), host=host)


def limits(task: dict[str, Any], program: dict[str, Any]) -> list[Finding]:
    tasks = registry(**task)
    return list(review_limits(tasks, drafted(tasks, fleet=program)))


@pytest.mark.parametrize(
    ("task", "program"),
    [
        ({"time_limit": 61}, {}),
        ({}, {"time_limit": 61}),
        ({"soft_time_limit": 61}, {}),
        ({"time_limit": 21}, {"drain_timeout": 20}),
    ],
)
def test_limit__beyond_the_drain_is_an_error(task: dict[str, Any], program: dict[str, Any]) -> None:
    (found,) = limits(task, program)
    assert (found.code, found.severity) == ("GF102", Severity.ERROR)
    assert found.message.startswith("Task 'shop.resize' may run ")
    assert found.file == __file__
    assert found.line > 0


@pytest.mark.parametrize(
    ("task", "program"),
    [
        ({"time_limit": 60}, {}),
        ({}, {"time_limit": 60}),
        ({"time_limit": 600}, {"drain_timeout": 600}),
        ({"time_limit": 30}, {"time_limit": 600}),
        ({"soft_time_limit": 20}, {}),
    ],
)
def test_limit__within_the_drain_is_nothing(task: dict[str, Any], program: dict[str, Any]) -> None:
    assert limits(task, program) == []


def test_limit__that_is_not_there_is_a_note() -> None:
    (found,) = limits({}, {})
    assert (found.code, found.severity) == ("GF103", Severity.NOTE)
    assert found.message == "Tasks of program 'worker_bar' have no time limit: shop.resize"


def test_serving__a_task_of_a_program_without_processes() -> None:
    modules = registry()
    (found,) = review_serving(modules, drafted(modules, fleet={"processes": 0}), {})
    assert (found.code, found.severity) == ("GF110", Severity.WARNING)
    assert found.message == "Task 'shop.resize' of queue 'bar' is served by no program"


def test_serving__a_task_that_another_host_serves() -> None:
    modules = registry()
    table: dict[str, Any] = {"queues": {"bar": {"processes": 0}}}
    table["hosts"] = {"web2": {"queues": {"bar": {"processes": 2}}}}
    here, there = (drafted(modules, host, **table) for host in ("web1", "web2"))
    (found,) = review_serving(modules, here, {"web2": there})
    assert (found.code, found.severity) == ("GF111", Severity.NOTE)
    assert "but by web2" in found.message
    assert list(review_serving(modules, there, {"web1": here})) == []


def test_serving__a_program_of_workers_without_a_task() -> None:
    modules = registry()
    planned = drafted(modules)
    idle = replace(planned.programs[0], name="idle", tasks=())
    (found,) = review_serving(modules, replace(planned, programs=(*planned.programs, idle)), {})
    assert (found.code, found.message) == ("GF112", "Program 'idle' serves no task")
    with_cron = drafted(modules, programs={"cron": {"command": ["/usr/sbin/cron"]}})
    assert list(review_serving(modules, with_cron, {})) == []


def test_draft__is_made_whatever_lint_says() -> None:
    modules = registry()
    (found,) = lint(drafted(modules, queues={"bar": {"stopwaitsecs": 10}}))
    assert (found.code, found.setting) == ("GF101", "queues.bar.stopwaitsecs")
    assert found.sentence.startswith("Setting 'queues.bar.stopwaitsecs' is 10, but a worker may")


def test_findings__are_told_once_and_the_worst_first() -> None:
    note, warning, error = (finding(code, "x") for code in ("GF103", "GF110", "GF101"))
    assert in_order([note, warning, note, error]) == (error, warning, note)
    assert worst([note, warning]) is Severity.WARNING
    assert worst([]) is None
    assert note.fix == "Give the task a time_limit, or its program"
