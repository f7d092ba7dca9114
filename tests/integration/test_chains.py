"""A chain goes on, once, also when a worker is killed between two of its steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from gearfleet import chain, gather
from tests.support.django_q import q_project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.django_q import QProject
    from tests.support.job_servers import JobServer


@pytest.fixture
def project(job_server: JobServer, tmp_path: Path) -> Iterator[QProject]:
    with q_project(tmp_path, job_server.address, starts=False) as made:
        yield made


def test_killed_after_the_next_step_was_submitted(project: QProject) -> None:
    """The hook of the first step is called when the second is in the queue."""
    tasks = project.module
    first = project.start_ready()
    hook = tasks.hold_on_in_hook
    chained = chain(
        [tasks.echo.options(hook=hook).call(1), tasks.add.call(2), tasks.nothing.call()]
    )
    project.wait_for_note("in hook")
    first.kill()
    project.allow("hook")
    project.start_ready()
    assert chained.result(30) is None
    assert [record.result for record in chained.records()] == [[1], 2, None]
    assert project.diary.count("echo (1,)") == 2
    assert project.diary.count("nothing ran") == 1


def test_killed_in_a_step(project: QProject) -> None:
    tasks = project.module
    first = project.start_ready()
    chained = chain([tasks.wait_for.call("a"), tasks.nothing.call()])
    project.wait_for_note("begin a")
    first.kill()
    project.allow("a")
    project.start_ready()
    assert chained.result(30) is None
    assert project.diary.count("nothing ran") == 1


def test_gathered_by_several_workers__one_killed(project: QProject) -> None:
    tasks = project.module
    first = project.start_ready()
    calls = [tasks.wait_for.call(name) for name in "ab"]
    gathered = gather([*calls, *(tasks.add.call(number) for number in range(20))], hook=tasks.tell)
    project.wait_for_note("begin a")
    first.kill()
    for name in "ab":
        project.allow(name)
    project.start_ready()
    project.start_ready()
    assert gathered.result(30) == ["a", "b", *range(20)]
    project.wait_for_note(f"hook {gathered.id} success {['a', 'b', *range(20)]}")


def test_an_empty_chain_is_refused() -> None:
    with pytest.raises(ValueError, match="one call"):
        chain([])
    with pytest.raises(ValueError, match="one call"):
        gather([])
