"""What follows a job: the next step, its record, its hooks; also when it runs twice."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from gearfleet.errors import LocalProtocolError, ResultStoreUnavailable, ServerUnavailable
from gearfleet.results import MemoryStore, Retention, TaskRecord
from gearfleet.tasks import SubmitOptions, TaskCall
from gearfleet.tasks.failure import Failure
from gearfleet.tasks.meta import Meta
from gearfleet.tasks.plans import Plan, Share, job_of, steps_of
from gearfleet.worker.aftermath import Aftermath

BOOM = Failure(type="ValueError", message="boom")
called: list[TaskRecord] = []


def note(record: TaskRecord) -> None:
    called.append(record)


def fail(record: TaskRecord) -> None:
    raise SystemExit(record.id)


@pytest.fixture(autouse=True)
def _nothing_called() -> None:
    called.clear()


class Line:
    """An aftermath with a store in memory and a list of what it submitted."""

    def __init__(self, **limits: Any) -> None:
        self.store = MemoryStore(Retention(**limits))
        self.submitted: list[TaskCall] = []
        self.servers: list[str] = []
        self.is_down = False
        self.aftermath = Aftermath(self.store, submit=self.submit)

    def submit(self, *call: Any, server: str) -> None:
        if self.is_down:
            raise ServerUnavailable
        self.submitted.append(TaskCall(*call))
        self.servers.append(server)

    def end(self, job: str, plan: Plan, result: Any = None, **fields: Any) -> TaskRecord | None:
        """Let a job end whose payload has `plan`; return what is kept of it."""
        # The payload is JSON: what is not does not arrive as it was.
        chain = tuple(json.loads(json.dumps(plan.told())))
        record = TaskRecord(id=job, task="t", result=result, **fields)
        self.aftermath.complete(record, Meta(id=job, chain=chain))
        self.aftermath.recorder.flush()
        return self.store.get(job)


def chain(*calls: TaskCall, **options: Any) -> Plan:
    return Plan(steps=steps_of(calls, "c", **options))


def test_a_record_is_kept() -> None:
    line = Line()
    assert line.end("a", Plan(), result=3) is not None
    assert line.end("b", Plan(), state="failure", failure=BOOM) is not None
    assert line.submitted == []


def test_none_is_kept() -> None:
    line = Line(save_limit=-1)
    assert line.end("a", Plan(), result=3) is None
    assert line.end("b", Plan(), state="failure", failure=BOOM) is not None
    assert not line.aftermath.is_needed(Meta(id="a"))
    assert line.aftermath.is_needed(Meta(id="a", save=True))
    assert line.aftermath.is_needed(Meta(id="a", hook="x.y"))
    assert line.aftermath.is_needed(None, [note])


def test_kept_for_a_time() -> None:
    line = Line(save_limit=-1)
    kept = line.end("a", Plan(keep=30.0))
    assert kept is not None
    assert kept.keep_until > 0


def test_a_chain() -> None:
    line = Line()
    line.end("x", chain(TaskCall("one", (Decimal(1),), {}), TaskCall("two", (), {"a": {1}})))
    (one,) = line.submitted
    assert (one.name, list(one.args), one.kwargs) == ("one", [Decimal(1)], {})
    assert one.options.id == job_of("c", 0)
    line.end(one.options.id, Plan.read(one.options.chain))
    (_, two) = line.submitted
    assert (two.name, two.kwargs, two.options.id) == ("two", {"a": {1}}, job_of("c", 1))
    line.end(two.options.id, Plan.read(two.options.chain))
    assert len(line.submitted) == 2


def test_a_chain__keeps_the_options_of_its_calls() -> None:
    line = Line()
    options = SubmitOptions(priority="high", name="n", expires=timedelta(seconds=9), hook="a.b")
    line.end("x", chain(TaskCall("one", (), {}, options)))
    submitted = line.submitted[0].options
    assert (submitted.priority, submitted.name, submitted.hook) == ("high", "n", "a.b")
    assert submitted.expires == timedelta(seconds=9)


def test_a_chain__passes_results_on() -> None:
    line = Line()
    calls = [TaskCall("zero", (), {}), TaskCall("one", (1,), {})]
    plan = Plan(steps=steps_of(calls, "c", pass_results=True)[1:])
    line.end("x", plan, result="of zero")
    assert list(line.submitted[0].args) == ["of zero", 1]


def test_a_chain__stops_on_failure() -> None:
    line = Line()
    line.end("x", chain(TaskCall("one", (), {})), state="failure", failure=BOOM)
    assert line.submitted == []
    plan = chain(TaskCall("one", (), {}), stop_on_failure=False)
    line.end("y", plan, state="failure", failure=BOOM)
    assert len(line.submitted) == 1


def test_a_chain__a_rerun_forks_nothing() -> None:
    line = Line()
    plan = chain(TaskCall("one", (), {}))
    line.end("x", plan, server="h:1")
    line.end("x", plan, server="h:1")  # while the next step is pending: it has the same id
    assert [each.options.id for each in line.submitted] == [job_of("c", 0)] * 2
    assert line.servers == ["h:1"] * 2
    line.end(job_of("c", 0), Plan())
    line.end("x", plan)  # when it has ended
    assert len(line.submitted) == 2


def test_a_chain__is_not_cut_in_silence() -> None:
    line = Line()
    line.is_down = True
    with pytest.raises(ServerUnavailable):
        line.end("x", chain(TaskCall("one", (), {})))
    assert line.store.get("x") is None


def test_a_plan_that_nobody_reads(caplog: pytest.LogCaptureFixture) -> None:
    line = Line()
    record = TaskRecord(id="a", task="t")
    line.aftermath.complete(record, Meta(id="a", chain=({"call": "x"},)))
    assert "cannot be read" in caplog.text


def share(index: int, count: int = 2, **fields: Any) -> Plan:
    return Plan(share=Share(whole="w", index=index, count=count, **fields))


def test_a_whole() -> None:
    line = Line(save_limit=1)
    hook = f"{__name__}.note"
    line.end("b", share(1, group="g", hook=hook), result=2, started=1.0, stopped=2.0)
    assert line.store.get("w") is None
    line.end("a", share(0, group="g", hook=hook), result=1, started=3.0, stopped=4.0)
    whole = line.store.get("w")
    assert whole is not None
    assert (whole.result, whole.group, whole.state) == ([1, 2], "g", "success")
    assert (whole.started, whole.stopped) == (1.0, 4.0)
    assert line.store.get("a") is None
    assert [each.id for each in called] == ["w"]
    line.end("a", share(0, hook=hook), result=1)  # runs again
    assert len(called) == 1


def test_a_whole__with_a_failure() -> None:
    line = Line()
    line.end("b", share(1), state="failure", failure=BOOM)
    line.end("a", share(0), result=1)
    whole = line.store.get("w")
    assert whole is not None
    assert (whole.state, whole.result) == ("failure", [1, None])
    assert "1 of 2 jobs failed, the first because: ValueError: boom" in str(whole.failure)
    assert line.store.get("b") is not None


def test_a_whole__in_a_chain() -> None:
    line = Line()
    steps = steps_of([TaskCall("_", (), {}), TaskCall("sum", (), {})], "c", pass_results=True)[1:]
    for index in (0, 1):
        plan = Plan(share=Share(whole="w", index=index, count=2), steps=steps)
        line.end(f"p{index}", plan, result=index)
    (call,) = line.submitted
    assert (call.name, list(call.args)) == ("sum", [[0, 1]])


def test_hooks() -> None:
    line = Line()
    record = TaskRecord(id="a", task="t", hook=f"{__name__}.note")
    line.aftermath.complete(record, None, [note, None])
    assert called == [record, record]


@pytest.mark.parametrize("hook", [fail, "no.such.hook", f"{__name__}.fail"])
def test_hooks__one_that_raises_is_logged(hook: Any, caplog: pytest.LogCaptureFixture) -> None:
    line = Line()
    line.aftermath.complete(TaskRecord(id="a", task="t"), None, [hook, note])
    assert len(called) == 1
    assert "of job a raised" in caplog.text


def test_the_store_is_down(monkeypatch: pytest.MonkeyPatch) -> None:
    line = Line()

    def save(_records: Any) -> None:
        raise ResultStoreUnavailable

    monkeypatch.setattr(line.store, "save", save)
    with pytest.raises(ResultStoreUnavailable):
        line.end("a", Plan(), state="failure", hook=f"{__name__}.note")
    assert called == []


def test_a_step_that_cannot_be_sent_ends_the_chain_and_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = Line()

    def refuse(*_call: Any, server: str) -> None:
        raise LocalProtocolError(f"White space in a function name, for {server}")

    line.aftermath = Aftermath(line.store, submit=refuse)
    kept = line.end("a", chain(TaskCall("two words", (), {})), result=3)
    assert kept is not None
    assert kept.result == 3
    assert "cannot be followed by two words: its chain ends here" in caplog.text
