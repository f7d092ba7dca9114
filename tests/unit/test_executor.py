"""One job to one outcome, whatever the payload holds and whatever the task does."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gearfleet.errors import JobInterrupted, PayloadEncodeError
from gearfleet.tasks import Task
from gearfleet.tasks.meta import Meta
from gearfleet.tasks.payload import decode_value, encode_call
from gearfleet.worker.executor import Executor
from gearfleet.worker.hooks import Hook, Hooks
from gearfleet.worker.job import Completed, Failed, Job, Outcome

if TYPE_CHECKING:
    from collections.abc import Callable

FUNCTION = "fleet.task"


@dataclass
class Assigned:
    data: bytes
    task: str = FUNCTION
    handle: str | None = "H:x:1"
    unique: str = "u1"


class FakeLadder:
    is_interrupted = False

    def job(self) -> AbstractContextManager[None]:
        return nullcontext()


def lose() -> None:
    raise LookupError("no such photo")


def executor(func: Callable[..., Any], **hooks: tuple[Hook, ...]) -> Executor:
    task = Task(func, name="shop.work", queue="q", priority="normal")
    return Executor({FUNCTION: task}, hooks=Hooks(**hooks), ladder=FakeLadder())


def run(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Outcome:
    return executor(func).execute(Assigned(encode_call(args, kwargs)))


def failed(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Failed:
    outcome = run(func, *args, **kwargs)
    assert isinstance(outcome, Failed)
    return outcome


def echo(*args: Any, **kwargs: Any) -> Any:
    return [*args, kwargs]


def add(left: int, right: int = 1) -> int:
    return left + right


async def add_later(left: int, right: int = 1) -> int:
    await asyncio.sleep(0)
    return left + right


def calls_wrongly() -> int:
    return add()  # type: ignore[call-arg]


def returns_object() -> object:
    return object()


def exits() -> None:
    sys.exit(3)


def presses_ctrl_c() -> None:
    raise KeyboardInterrupt


def never_ends() -> None:
    never_ends()


def pretends() -> None:
    raise JobInterrupted


def divides() -> float:
    return 1 / 0


noted: list[int] = []


def notes(number: int) -> None:
    noted.append(number)


class Odd(BaseException):
    pass


def is_odd() -> None:
    raise Odd("odd")


def test_expired__is_not_run() -> None:
    noted.clear()
    work = executor(notes)
    for number, expires in enumerate((time.time() - 1, time.time() + 60, 0.0)):
        work.execute(Assigned(encode_call([number], meta=Meta(id="j", expires=expires))))
    assert noted == [1, 2]
    assert (work.completed, work.failed) == (2, 1)
    outcome = work.execute(Assigned(encode_call([3], meta=Meta(id="j", expires=1.0))))
    assert isinstance(outcome, Failed)
    assert outcome.failure.type == "gearfleet.errors.JobExpired"


def test_result__of_a_function_is_encoded() -> None:
    outcome = run(echo, 1, {2}, key="value")
    assert isinstance(outcome, Completed)
    assert decode_value(outcome.data) == outcome.value == [1, {2}, {"key": "value"}]


def test_result__of_a_coroutine_function() -> None:
    worker = executor(add_later)
    outcomes = [worker.execute(Assigned(encode_call((n, 1)))) for n in range(3)]
    worker.close()
    assert [outcome.value for outcome in outcomes if isinstance(outcome, Completed)] == [1, 2, 3]


def test_coroutines__of_all_jobs_share_one_loop() -> None:
    async def which_loop() -> int:
        return id(asyncio.get_running_loop())

    which_loop.__qualname__ = "which_loop"
    worker = executor(which_loop)
    outcomes = [worker.execute(Assigned(b"")) for _ in range(2)]
    worker.close()
    first, second = (outcome.value for outcome in outcomes if isinstance(outcome, Completed))
    assert first == second


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), Odd("odd"), OSError("x")])
def test_coroutines__that_raise_leave_the_loop_in_order(error: BaseException) -> None:
    answers: list[BaseException | None] = [error, None]

    async def answer() -> str:
        if (problem := answers.pop(0)) is not None:
            raise problem
        return "served"

    answer.__qualname__ = "answer"
    worker = executor(answer)
    outcomes = [worker.execute(Assigned(b"")) for _ in range(2)]
    worker.close()
    assert isinstance(outcomes[0], Failed)
    assert isinstance(outcomes[1], Completed)
    assert outcomes[1].value == "served"


def test_result__of_falsy_values_is_a_result() -> None:
    outcome = run(echo)
    assert isinstance(outcome, Completed)
    assert outcome.value == [{}]


@pytest.mark.parametrize(
    ("func", "kind", "message"),
    [
        (divides, "ZeroDivisionError", "division by zero"),
        (exits, "SystemExit", "3"),
        (presses_ctrl_c, "KeyboardInterrupt", ""),
        (never_ends, "RecursionError", "maximum recursion depth exceeded"),
        (is_odd, "tests.unit.test_executor.Odd", "odd"),
        (pretends, "gearfleet.errors.JobInterrupted", ""),
        (returns_object, "gearfleet.errors.PayloadEncodeError", "result"),
    ],
)
def test_failure__is_an_outcome(func: Callable[..., Any], kind: str, message: str) -> None:
    outcome = failed(func)
    assert outcome.failure.type == kind
    assert message in outcome.failure.message


def test_failure__shows_the_lines_of_the_task_and_not_ours() -> None:
    trace = failed(divides).failure.traceback
    assert "in divides" in trace
    assert "worker/executor.py" not in trace


@pytest.mark.parametrize(
    ("args", "kwargs", "why"),
    [
        ((), {}, "missing 1 required positional argument: 'left'"),
        ((1, 2, 3), {}, "takes from 1 to 2 positional arguments but 3 were given"),
        ((1,), {"rihgt": 2}, "unexpected keyword argument 'rihgt'"),
    ],
)
@pytest.mark.parametrize("func", [add, add_later])
def test_arguments__that_do_not_fit_name_the_task(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], why: str
) -> None:
    failure = failed(func, *args, **kwargs).failure
    assert failure.message.startswith("shop.work(left, right")
    assert "does not take the arguments of this job" in failure.message
    assert why in failure.message


def test_arguments__of_a_call_within_the_task_are_the_tasks_own_mistake() -> None:
    assert failed(calls_wrongly).failure.message.startswith("add() missing")


@pytest.mark.parametrize("data", [b"\xff\xfe", b"hello", b"[1, 2]", b'{"args": 3}', b"[" * 10**5])
def test_payload__that_cannot_be_read_fails_its_job(data: bytes) -> None:
    outcome = executor(echo).execute(Assigned(data))
    assert isinstance(outcome, Failed)
    assert outcome.failure.type == "gearfleet.errors.PayloadDecodeError"
    assert "cannot be read" in outcome.failure.message


@settings(deadline=None)
@given(st.binary())
def test_payload__of_any_bytes_has_an_outcome(data: bytes) -> None:
    logging.disable()
    try:
        assert isinstance(executor(echo).execute(Assigned(data)), Completed | Failed)
    finally:
        logging.disable(logging.NOTSET)


def test_log__of_a_failure_names_the_job(caplog: pytest.LogCaptureFixture) -> None:
    failed(divides)
    (record,) = caplog.records
    assert record.message == "Job H:x:1 of fleet.task failed: ZeroDivisionError: division by zero"
    assert record.exc_info
    fields = vars(record)
    assert (fields["action"], fields["handle"], fields["unique"], fields["function"]) == (
        "job_failed", "H:x:1", "u1", FUNCTION,
    )  # fmt: skip


def test_log__of_a_success_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    run(echo)
    assert caplog.records == []


def test_counts__tell_results_from_failures() -> None:
    worker = executor(add)
    for args in ((1,), (2,), ("x",)):
        worker.execute(Assigned(encode_call(args)))
    assert (worker.completed, worker.failed) == (2, 1)


def test_hooks__see_the_job_and_its_outcome() -> None:
    seen: list[Any] = []
    worker = executor(
        add,
        before_job=(Hook(seen.append, 1),),
        after_job=(Hook(lambda *both: seen.append(both), 2),),
    )
    outcome = worker.execute(Assigned(encode_call((1,), {"right": 2}, Meta(id="j1"))))
    (job, (same_job, same_outcome)) = seen
    assert same_job is job
    assert same_outcome is outcome
    assert isinstance(job, Job)
    assert (job.task.name, job.args, dict(job.kwargs)) == ("shop.work", (1,), {"right": 2})
    assert (job.function, job.handle, job.unique) == (FUNCTION, "H:x:1", "u1")
    assert job.meta is not None
    assert job.meta.id == "j1"


def test_hooks__after_a_failure_have_the_exception() -> None:
    seen: list[Failed] = []
    executor(divides, after_job=(Hook(lambda _job, outcome: seen.append(outcome), 2),)).execute(
        Assigned(b"")
    )
    assert isinstance(seen[0].error, ZeroDivisionError)


def test_hooks__that_raise_do_not_change_the_outcome(caplog: pytest.LogCaptureFixture) -> None:
    bad = (Hook(divides, 0), Hook(exits, 0))
    outcome = executor(echo, before_job=bad, after_job=bad).execute(Assigned(b""))
    assert isinstance(outcome, Completed)
    assert len(caplog.records) == 4


def test_failure_hooks__hear_of_each_job_that_failed_for_good() -> None:
    seen: list[tuple[Job, Failed, BaseException | None]] = []

    def report(job: Job, outcome: Failed) -> None:
        seen.append((job, outcome, sys.exc_info()[1]))

    hooks = (Hook(report, 2),)
    executor(lose, on_failure=hooks).execute(Assigned(encode_call((), {})))
    executor(lose, on_failure=hooks).execute(Assigned(b"?"))
    executor(echo, on_failure=hooks).execute(Assigned(encode_call((1,), {})))
    (job, outcome, handled), (unread, _, _) = seen
    assert (job.handle, unread.handle) == ("H:x:1", "H:x:1")
    assert handled is outcome.error
    assert isinstance(handled, LookupError)
    assert handled.__traceback__ is not None
    assert handled.__traceback__.tb_frame.f_code.co_name == "lose", "no frame of ours"


def test_hooks__do_not_run_for_a_payload_that_cannot_be_read() -> None:
    seen: list[Any] = []
    hooks = (Hook(seen.append, 1),)
    executor(echo, before_job=hooks, after_job=hooks).execute(Assigned(b"?"))
    assert seen == []


def interrupted(ladder: FakeLadder, error: BaseException | None) -> Callable[[], str]:
    def work() -> str:
        ladder.is_interrupted = True
        if error is not None:
            raise error
        return "done all the same"

    work.__qualname__ = "work"
    return work


@pytest.mark.parametrize("error", [JobInterrupted(), OSError("the cleanup went wrong")])
def test_interruption__leaves_without_an_outcome(error: BaseException) -> None:
    ladder = FakeLadder()
    task = Task(interrupted(ladder, error), name="w", queue="q", priority="normal")
    worker = Executor({FUNCTION: task}, hooks=Hooks(), ladder=ladder)
    with pytest.raises(JobInterrupted):
        worker.execute(Assigned(b""))
    assert (worker.completed, worker.failed) == (0, 0)


def test_interruption__that_the_task_outran_has_a_result() -> None:
    ladder = FakeLadder()
    task = Task(interrupted(ladder, None), name="w", queue="q", priority="normal")
    outcome = Executor({FUNCTION: task}, hooks=Hooks(), ladder=ladder).execute(Assigned(b""))
    assert isinstance(outcome, Completed)


def test_failure__to_encode_is_a_type_error_with_its_own_message() -> None:
    outcome = failed(returns_object)
    assert isinstance(outcome.error, PayloadEncodeError)
    assert "does not take" not in outcome.failure.message


def test_log__of_a_failure_whose_unique_is_no_text(caplog: pytest.LogCaptureFixture) -> None:
    """Bytes that a foreign client sent: a handler of the project's must not choke on them."""
    job = Assigned(encode_call((), {}), unique="u\udcff", handle="H:\udcff:1")
    executor(calls_wrongly).execute(job)
    (line,) = [one for one in caplog.records if vars(one).get("action") == "job_failed"]
    told = [line.getMessage(), vars(line)["unique"], vars(line)["handle"]]
    assert [text.encode().decode() for text in told] == told
    assert r"Job H:\udcff:1 of" in told[0]
