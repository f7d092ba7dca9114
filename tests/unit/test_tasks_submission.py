"""From a task to whoever submits its jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import client, config
from gearfleet.client import Client, default_client
from gearfleet.config import Settings
from gearfleet.errors import PayloadEncodeError
from gearfleet.tasks import JobHandle, SubmitOptions, bind, task
from gearfleet.tasks.submission import submitter

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

HANDLE = JobHandle(id="1", function="f", unique="1.1", server="127.0.0.1:4730")


@task(name="add", priority="low")
def add(left: int, right: int = 0) -> int:
    return left + right


@task
def answers_itself(name: str, self: str, options: str) -> None: ...


@dataclass
class Recorder:
    """A submitter that remembers what it was asked for."""

    calls: list[tuple[Any, ...]] = field(default_factory=list)

    def run(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> Any:
        self.calls.append(("run", name, args, kwargs, options))
        return 42

    def enqueue(
        self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any], options: SubmitOptions
    ) -> JobHandle:
        self.calls.append(("enqueue", name, args, kwargs, options))
        return HANDLE


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    recorder = Recorder()
    with bind(recorder):
        yield recorder


def test_submit__returns_what_the_submitter_returns(recorder: Recorder) -> None:
    assert add.submit(1, right=2) == 42
    assert recorder.calls == [("run", "add", (1,), {"right": 2}, SubmitOptions(priority="low"))]


def test_delay__returns_the_handle(recorder: Recorder) -> None:
    assert add.delay(1) is HANDLE
    assert recorder.calls == [("enqueue", "add", (1,), {}, SubmitOptions(priority="low"))]


def test_options__of_one_call(recorder: Recorder) -> None:
    urgent = add.options(priority="high", unique="u", timeout=3)
    assert urgent.submit(1) == 42
    assert urgent.delay(2) is HANDLE
    assert add.options(unique="u").submit(3) == 42
    assert [call[-1] for call in recorder.calls] == [
        SubmitOptions(priority="high", unique="u", timeout=3),
        SubmitOptions(priority="high", unique="u", timeout=3),
        SubmitOptions(priority="low", unique="u"),
    ]


def test_arguments__may_have_any_name(recorder: Recorder) -> None:
    kwargs = {"name": "a", "self": "b", "options": "c"}
    answers_itself.delay(**kwargs)
    answers_itself.options().submit(**kwargs)
    assert [call[3] for call in recorder.calls] == [kwargs, kwargs]


@pytest.mark.parametrize("options", [{"priority": "HIGH"}, {"unique": ""}, {"unique": 5}])
def test_options__refused(options: Any) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        add.options(**options)


def test_bind__is_undone_also_after_an_error(recorder: Recorder) -> None:
    other = Recorder()
    with pytest.raises(ZeroDivisionError), bind(other):
        assert submitter() is other
        raise ZeroDivisionError
    assert submitter() is recorder


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    monkeypatch.setattr(client, "_default", None)
    settings = Settings(servers=("127.0.0.1:1",))
    config.use(settings)
    yield settings
    config.use(None)


def test_default_client__of_the_settings_in_use(settings: Settings) -> None:
    one = submitter()
    assert one is default_client() is submitter()
    assert default_client().settings is settings
    config.use(Settings(servers=("127.0.0.1:2",)))
    assert default_client() is not one


@pytest.mark.parametrize("args", ["abc", b"abc", {"a": 1}, 5])
def test_submit_job__args_that_are_no_list(settings: Settings, args: Any) -> None:
    with pytest.raises(PayloadEncodeError, match="args must be a list of arguments"):
        Client(settings).submit_job("f", args=args)
