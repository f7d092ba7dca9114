"""What a worker process works out before it serves."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from gearfleet.config import Settings
from gearfleet.errors import ConfigError, UnknownName
from gearfleet.gearman.protocol import MAX_CLIENT_ID_BYTES
from gearfleet.tasks import App, Task, WorkerModule
from gearfleet.worker.process import choose_queues, client_id, prepare, serve, tasks_by_function


def work() -> None: ...


def made(name: str, queue: str = "q") -> Task[[], None]:
    return Task(work, name=name, queue=queue, priority="normal")


MODULE = WorkerModule(
    app=App(name="shop", label="shop"),
    worker="worker_foo",
    module="shop.gearman_workers.worker_foo",
    tasks=(made("b", "foo"), made("a", "bar"), made("c", "foo")),
)


@pytest.mark.parametrize(
    ("queues", "chosen"),
    [
        ([], ("bar", "foo")),
        (["*"], ("bar", "foo")),
        (["foo"], ("foo",)),
        (["foo", "bar", "foo"], ("bar", "foo")),
        (["bar", "*"], ("bar", "foo")),
    ],
)
def test_queues__by_exact_name_or_all(queues: list[str], chosen: tuple[str, ...]) -> None:
    assert choose_queues(MODULE, queues) == chosen


@pytest.mark.parametrize("name", ["fo", "FOO", "foo*", ""])
def test_queues__that_do_not_exist_are_refused_with_those_that_do(name: str) -> None:
    with pytest.raises(UnknownName, match=r"known: bar, foo"):
        choose_queues(MODULE, ["foo", name])


def test_tasks__keep_their_order_under_their_functions() -> None:
    assert list(tasks_by_function(MODULE.tasks, "v1.")) == ["v1.b", "v1.a", "v1.c"]


def test_tasks__that_the_prefix_makes_one_of_are_refused() -> None:
    with pytest.raises(ConfigError, match="makes 'all' of both 'b' and 'a'"):
        tasks_by_function(MODULE.tasks, lambda _name: "all")


def test_client_id__tells_host_program_pid_and_release(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "web1.example.org")
    assert client_id("worker_foo") == f"gearfleet/web1.example.org/worker_foo/{os.getpid()}/-"
    assert client_id("", "v1.2 (final)").endswith(f"/-/{os.getpid()}/v1.2--final-")


def test_client_id__always_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "h" * 64)
    shown = client_id("ü b\n" + "p" * 200, "r" * 64)
    assert len(shown.encode()) <= MAX_CLIENT_ID_BYTES
    assert len(shown.split()) == 1
    assert shown.count("/") == 4


def test_serve__names_the_setting_of_a_job_server_that_cannot_be_one() -> None:
    settings = Settings(servers=("localhost:http",), origin="gearfleet.toml", root=Path())
    with pytest.raises(ConfigError, match=r"'servers' of gearfleet.toml: Port 'http'"):
        serve(prepare(MODULE, settings=settings, program="p"))
