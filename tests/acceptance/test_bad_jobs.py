"""Bad jobs: each fails alone, with the reason told and recorded, and the same worker serves on."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

import gearfleet
from gearfleet.errors import JobFailed
from gearfleet.gearman import GearmanClient
from gearfleet.results import open_store
from tests.support.waiting import wait_for
from tests.support.workers import WorkerProject

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.results import TaskRecord
    from tests.support.job_servers import JobServer

TASKS = """
import locale

class Own(BaseException):
    pass

class Untold(Exception):
    def __str__(self):
        raise ValueError("no text")

class Endless(Exception):
    def __str__(self):
        return str(self)
    __repr__ = __str__

class Annotated(Exception):
    @property
    def __notes__(self):
        raise ValueError("no notes")

class Unnamed(type):
    def __getattribute__(cls, name):
        if name == "__qualname__":
            raise ValueError("no name")
        return super().__getattribute__(name)

class Odd(Exception, metaclass=Unnamed):
    pass

class ExitsWhenShown:
    def __repr__(self):
        sys.exit(9)

def deep(levels, make):
    made = make(None)
    for _ in range(levels):
        made = make(made)
    return made

def caused(cause):
    error = ValueError("outer")
    error.__cause__ = cause
    return error

def grouped(inner):
    return ExceptionGroup("group", [inner or ValueError("innermost")])

def recurse():
    return recurse() + 1

def infinite():
    endless = []
    endless.append(endless)
    return endless

RAISES = {
    "KeyboardInterrupt": lambda: KeyboardInterrupt("pressed"),
    "GeneratorExit": lambda: GeneratorExit("closed"),
    "SystemExit": lambda: SystemExit("bye"),
    "CancelledError": lambda: asyncio.CancelledError("cancelled"),
    "StopIteration": lambda: StopIteration("over"),
    "StopAsyncIteration": lambda: StopAsyncIteration("over"),
    "Own": lambda: Own("mine"),
    "Untold": lambda: Untold(),
    "Endless": lambda: Endless(),
    "Annotated": lambda: Annotated("noted"),
    "Odd": lambda: Odd("odd"),
    "caused": lambda: deep(300, caused),
    "grouped": lambda: deep(1200, grouped),
    "surrogates": lambda: ValueError("\\udc80 and \\ud800"),
    "NUL": lambda: ValueError("a\\0b"),
    "long": lambda: ValueError("x" * 10_000_000),
}

RETURNS = {
    "object": object,
    "recursive": infinite,
    "deep": lambda: deep(100_000, lambda inner: [inner]),
    "function": lambda: note,
    "generator": lambda: (number for number in range(3)),
    "exits": ExitsWhenShown,
    "class": lambda: Own,
}

@task(queue="foo")
def raises(what):
    raise RAISES[what]()

@task(queue="foo")
async def raises_later(what):
    await asyncio.sleep(0)
    raise RAISES[what]()

@task(queue="foo")
def returns(what):
    return RETURNS[what]()

@task(queue="foo")
def recurses():
    return recurse()

@task(queue="foo")
async def recurses_later():
    await asyncio.sleep(0)
    return recurse()

@task(queue="foo")
def exits(code):
    sys.exit(code)

@task(queue="foo")
def spoils_arguments(items):
    items.append(ExitsWhenShown())
    raise ValueError("spoilt")

@task(queue="foo")
def changes(what):
    CHANGES[what]()
    raise ValueError("changed")

def in_a_folder_that_is_gone():
    folder = FOLDER / "gone"
    folder.mkdir()
    os.chdir(folder)
    folder.rmdir()

def without_streams():
    del sys.stdout, sys.stderr

def with_other_streams():
    sys.stdout, sys.stderr = None, object()

def with_closed_streams():
    sys.stdout.close()
    sys.stderr.close()

def with_closed_descriptors():
    for number in (1, 2):
        os.close(number)

CHANGES = {
    "cwd": lambda: os.chdir("/"),
    "no cwd": in_a_folder_that_is_gone,
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C"),
    "environment": os.environ.clear,
    "no streams": without_streams,
    "other streams": with_other_streams,
    "closed streams": with_closed_streams,
    "closed descriptors": with_closed_descriptors,
    "umask": lambda: os.umask(0o777),
}

@task(queue="foo")
def pid():
    return os.getpid()
"""


class Worker:
    """A worker that bad jobs are sent to, and that is to stay."""

    def __init__(self, project: WorkerProject) -> None:
        self.project = project
        self.process = project.start_ready()
        store = open_store(project.settings)
        assert store is not None
        self.store = store

    def fails(self, task: str, *args: object) -> list[str]:
        """Return what the caller hears of a job, and what is kept of one that nobody waits for."""
        with pytest.raises(JobFailed) as told:
            self.project.submit(task, *args).result(30)
        job = self.project.client.delay(self.project.function(task), *args)
        record = gearfleet.fetch(job, wait=30, settings=self.project.settings)
        assert record is not None, self.process.output()[-2000:]
        assert record.state == "failure"
        self.serves()
        return [str(told.value.failure), str(record.failure)]

    def serves(self) -> None:
        assert self.project.submit("pid").result(30) == self.process.pid

    def serves_and_keeps(self) -> None:
        self.serves()
        job = self.project.client.delay(self.project.function("pid"))
        record = gearfleet.fetch(job, wait=30, settings=self.project.settings)
        assert record is not None, self.process.output()[-2000:]
        assert record.result == self.process.pid


@pytest.fixture(scope="module")
def worker(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Iterator[Worker]:
    project = WorkerProject(tmp_path_factory.mktemp("bad"), gearmand.address, more=TASKS)
    yield Worker(project)
    project.close()


@pytest.fixture
def own_worker(tmp_path_factory: pytest.TempPathFactory, gearmand: JobServer) -> Iterator[Worker]:
    """One for a test that spoils the process."""
    project = WorkerProject(tmp_path_factory.mktemp("bad"), gearmand.address, more=TASKS)
    yield Worker(project)
    project.close()


RAISED = [
    ("KeyboardInterrupt", "KeyboardInterrupt: pressed"),
    ("GeneratorExit", "GeneratorExit: closed"),
    ("SystemExit", "SystemExit: bye"),
    ("CancelledError", "asyncio.exceptions.CancelledError"),
    ("StopIteration", "StopIteration"),
    ("StopAsyncIteration", "StopAsyncIteration"),
    ("Own", "Own: mine"),
    ("Untold", "Untold"),
    ("Endless", "Endless"),
    ("Annotated", "Annotated: what it says cannot be read: ValueError"),
    ("Odd", "Odd: what it says cannot be read: ValueError"),
    ("caused", "ValueError: outer"),
    ("grouped", "ExceptionGroup: group (1 sub-exception)"),
    ("surrogates", "ValueError: "),
    ("NUL", "ValueError: a\0b"),
    ("long", "ValueError: xxx"),
]


@pytest.mark.parametrize(("what", "told"), RAISED)
@pytest.mark.parametrize("task", ["raises", "raises_later"])
def test_exception__of_any_kind(worker: Worker, task: str, what: str, told: str) -> None:
    for heard in worker.fails(task, what):
        assert told in heard


@pytest.mark.parametrize("code", [0, 1, None, "a text"])
def test_exit(worker: Worker, code: object) -> None:
    for heard in worker.fails("exits", code):
        assert "SystemExit" in heard


@pytest.mark.parametrize("task", ["recurses", "recurses_later"])
def test_recursion_without_end(worker: Worker, task: str) -> None:
    for heard in worker.fails(task):
        assert "RecursionError: maximum recursion depth exceeded" in heard


@pytest.mark.parametrize(
    "what",
    ["object", "recursive", "deep", "function", "generator", "exits", "class"],
)
def test_result__that_cannot_be_sent(worker: Worker, what: str) -> None:
    for heard in worker.fails("returns", what):
        assert "PayloadEncodeError: " in heard
        assert "result" in heard


def test_arguments__that_the_task_made_unspeakable(worker: Worker) -> None:
    for heard in worker.fails("spoils_arguments", [1]):
        assert heard == "ValueError: spoilt"


@pytest.mark.parametrize(
    "what",
    [
        "cwd", "no cwd", "locale", "environment", "no streams", "other streams", "closed streams",
        "umask",
    ],
)  # fmt: skip
def test_process__that_the_task_changed(own_worker: Worker, what: str) -> None:
    with pytest.raises(JobFailed, match="changed"):
        own_worker.project.submit("changes", what).result(30)
    own_worker.serves_and_keeps()
    for heard in own_worker.fails("raises", "NUL"):
        assert heard == "ValueError: a\0b"


def call(**changes: object) -> bytes:
    return json.dumps({"v": 1, "args": [], "kwargs": {}, **changes}).encode()


PAYLOADS = {
    "random": bytes(range(256)) * 20,
    "one byte": b"\xff",
    "NULs": b"\0" * 1000,
    "brackets": b"[" * 20_000_000,
    "braces": b'{"a":' * 1_000_000,
    "pairs of brackets": b'{"args":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "no object": b"17",
    "truncated": call()[:-1],
    "version": call(v=2),
    "version of another type": call(v="1"),
    "unknown tag": call(args=[{"$t": "lambda", "v": 1}]),
    "wrong tag": call(args=[{"$t": "decimal", "v": "one"}]),
    "tag without end": b'{"args":[' + b'{"$t":"tuple","v":[' * 5000 + b"]}" * 5000 + b"]}",
    "invalid UTF-8": b'{"args": ["\xff\xfe"]}',
    "unknown arguments": call(kwargs={"colour": "red"}),
    "args of a wrong type": call(args="abc"),
    "meta of a wrong type": call(meta=[]),
    "meta without id": call(meta={"attempt": 1}),
    "id of a wrong type": call(meta={"id": 7}),
    "huge number": b'{"args": [1' + b"0" * 10_000 + b"]}",
    "header of another codec": b"gearfleet/1 pickle -\n",
    "header and zlib": b"gearfleet/1 envelope+zlib -\nnothing of the kind",
}


@pytest.mark.parametrize("name", PAYLOADS)
def test_payload__that_is_poison(worker: Worker, gearmand: JobServer, name: str) -> None:
    function, data = worker.project.function("pid"), PAYLOADS[name]
    with GearmanClient([gearmand.address]) as client:
        told = client.submit_job(function, data, poll_timeout=30)
        assert told.result is None
        reason = told.exception or b"".join(told.warning_updates)
        assert reason, "the caller hears why"
        handle = client.submit_job(function, data, background=True, poll_timeout=30).job.handle
    record = record_of(worker, handle)
    assert record.failure is not None
    assert json.loads(reason)["message"] == record.failure.message
    assert len(record.failure.message) < 500
    worker.serves()


def record_of(worker: Worker, handle: str | None) -> TaskRecord:
    def found() -> TaskRecord | None:
        failures = worker.store.failures(limit=5)
        return next((each for each in failures if each.handle == handle), None)

    record = wait_for(found, f"the record of {handle}", timeout=10)
    assert record is not None
    return record


META: dict[str, dict[str, object]] = {
    "name that is no Unicode": {"name": "\ud800"},
    "group that is no Unicode": {"group": "\udcff"},
    "hook that is no Unicode": {"hook": "\ud800"},
    "id that is no Unicode": {"id": "\ud800"},
    "huge attempt": {"attempt": 2**70},
    "huge moment": {"enqueued_at": 10**30},
    "moment that is none": {"enqueued_at": float("nan")},
    "moment without end": {"enqueued_at": float("inf")},
    "NUL in a name": {"name": "a\0b"},
    "negative attempt": {"attempt": -5},
}


@pytest.mark.parametrize("task", ["pid", "raises"])
@pytest.mark.parametrize("name", META)
def test_meta__that_is_poison(worker: Worker, gearmand: JobServer, name: str, task: str) -> None:
    """Whether the job is refused or not, it leaves a record, and those of others are kept."""
    args = ["Own"] if task == "raises" else []
    with GearmanClient([gearmand.address]) as client:
        client.submit_job(
            worker.project.function(task),
            call(args=args, meta={"id": f"poison {name} {task}", "save": True, **META[name]}),
            background=True,
            poll_timeout=30,
        )
    worker.serves_and_keeps()
