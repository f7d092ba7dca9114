"""The ways to submit a job, against both job servers and a real worker."""

from __future__ import annotations

import asyncio
import gc
import time
import warnings
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet.client import Client
from gearfleet.config import Settings
from gearfleet.errors import BatchFailed, JobFailed, PayloadEncodeError, ServerUnavailable
from gearfleet.gearman import GearmanAdminClient, GearmanWorker
from gearfleet.tasks import JobHandle, SubmitOptions, TaskCall, bind, task
from gearfleet.tasks.naming import later_function
from gearfleet.tasks.payload import decode_call, encode_value
from tests.support.ports import free_port
from tests.support.running import running
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.gearman import GearmanJob
    from tests.support.job_servers import JobServer


@task
def add(left: int, right: int = 0) -> int:
    return left + right


@task
async def wait(seconds: float) -> float:
    await asyncio.sleep(seconds)
    return seconds


@pytest.fixture
def client(job_server: JobServer, function: str) -> Iterator[Client]:
    """Functions begin with a name that no other test uses."""
    settings = Settings(servers=(job_server.address,), client_timeout=20.0, prefix=f"{function}.")
    client = Client(settings)
    with bind(client):
        yield client
    client.close()


def worker_of(client: Client, name: str, answer: Any = None) -> GearmanWorker:
    def call(job: GearmanJob) -> bytes:
        call = decode_call(job.data)
        return encode_value(answer(*call.args, **call.kwargs))

    worker = GearmanWorker(client.settings.servers)
    function = f"{client.settings.prefix}{name}"
    worker.register_task(function, call)
    worker.register_task(later_function(function), call)
    return worker


def queued(server: JobServer, function: str) -> int:
    rows = (line.split("\t") for line in server.text("status"))
    return next((int(row[1]) for row in rows if row[0] == function), 0)


def test_after__waits_at_the_job_server(client: Client, job_server: JobServer) -> None:
    ran: list[float] = []
    with running(worker_of(client, add.name, lambda *_, **__: ran.append(time.time()))):
        begun = time.time()
        handle = add.after(1, 2, right=3)
        soon = add.after(timedelta(0), 4)
        assert handle.function == f"{client.settings.prefix}{add.name}+later"
        assert soon.function == f"{client.settings.prefix}{add.name}"
        wait_for(lambda: len(ran) == 2, "both jobs to run")
    assert ran[1] - begun >= 1


def test_at__an_aware_datetime(client: Client, job_server: JobServer) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    handle = add.at(tomorrow, 1)
    assert handle.function.endswith("+later")
    assert queued(job_server, handle.function) == 1
    past = add.at(datetime(2020, 1, 1, tzinfo=UTC), 1)
    assert not past.function.endswith("+later")


def test_at__also_with_the_priority_of_the_task(client: Client) -> None:
    """SUBMIT_JOB_EPOCH has none; the job is accepted all the same."""
    assert add.options(priority="high").after(60, 1).function.endswith("+later")


def test_later__is_for_the_background(client: Client) -> None:
    with pytest.raises(ValueError, match="for later runs in the background"):
        add.options(after=5).submit(1)


@pytest.mark.parametrize(
    ("seconds", "kind"),
    [("5", TypeError), (None, TypeError), (True, TypeError), (-1, ValueError)],
)
def test_after__what_is_no_time_is_refused(client: Client, seconds: Any, kind: Any) -> None:
    with pytest.raises(kind, match="after"):
        add.after(seconds, 1)


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        (datetime(2030, 1, 1), ValueError),
        (1893456000, TypeError),
        ("2030-01-01", TypeError),
    ],
)
def test_at__what_is_no_aware_datetime_is_refused(client: Client, when: Any, kind: Any) -> None:
    with pytest.raises(kind, match="at must be an aware datetime"):
        add.at(when, 1)


def test_unique__true_is_made_of_the_arguments(client: Client, job_server: JobServer) -> None:
    once = add.options(unique=True)
    for _ in range(2):
        once.delay(1, right=2)
        once.delay({"b": 1, "a": {"x", "y", "z"}})  # type: ignore[arg-type]
        once.delay({"a": {"z", "y", "x"}, "b": 1})  # type: ignore[arg-type]
        once.delay(1, right=3)
    assert queued(job_server, f"{client.settings.prefix}{add.name}") == 3


def test_unique__true_needs_arguments_that_can_be_compared(client: Client) -> None:
    with pytest.raises(PayloadEncodeError):
        add.options(unique=True).delay(object())  # type: ignore[arg-type]


def test_submit_many__in_order(client: Client, job_server: JobServer) -> None:
    calls = [
        add.call(1),
        TaskCall("other", (1,), {"x": 2}),
        add.options(after=60).call(2),
        add.options(unique="same").call(3),
    ]
    handles = client.submit_many(calls)
    prefix = client.settings.prefix
    assert [handle.function for handle in handles] == [
        f"{prefix}{add.name}", f"{prefix}other", f"{prefix}{add.name}+later", f"{prefix}{add.name}",
    ]  # fmt: skip
    assert handles[3].unique == "bg:same"
    assert {handle.server for handle in handles} == {job_server.address}
    assert queued(job_server, f"{prefix}{add.name}") == 2


def test_submit_many__of_none(client: Client) -> None:
    assert client.submit_many([]) == []


def test_submit_many__a_bad_argument_submits_nothing(client: Client, job_server: JobServer) -> None:
    with pytest.raises(PayloadEncodeError):
        client.submit_many([TaskCall("f", (1,), {}), TaskCall("f", (object(),), {})])
    assert queued(job_server, f"{client.settings.prefix}f") == 0


def test_submit_many__without_a_job_server() -> None:
    client = Client(Settings(servers=(f"127.0.0.1:{free_port()}",), client_timeout=2.0))
    with pytest.raises(ServerUnavailable):
        client.submit_many([TaskCall("f", (1,), {})])


def test_submit_many__says_which_were_refused(client: Client, job_server: JobServer) -> None:
    full = f"{client.settings.prefix}full"
    with GearmanAdminClient([job_server.address]) as admin:
        admin.send_maxqueue(full, 1)
    with pytest.raises(BatchFailed, match="1 of 3 jobs were not accepted") as caught:
        client.submit_many(
            [TaskCall("full", (1,), {}), TaskCall("full", (2,), {}), TaskCall("free", (3,), {})]
        )
    assert [handle is None for handle in caught.value.handles] == [False, True, False]
    assert [error is None for error in caught.value.errors] == [True, False, True]


def test_map__a_job_for_each(client: Client, job_server: JobServer) -> None:
    handles = add.map(range(500))
    assert len({handle.id for handle in handles}) == 500
    assert queued(job_server, f"{client.settings.prefix}{add.name}") == 500


def test_adelay__and_asubmit(client: Client, job_server: JobServer) -> None:
    async def calls() -> tuple[JobHandle, list[int], JobHandle]:
        handle = await add.adelay(1, right=2)
        results = await asyncio.gather(*(add.asubmit(n, right=1) for n in range(20)))
        return handle, list(results), await client.adelay("other", 5)

    with running(worker_of(client, add.name, add.func)):
        handle, results, other = asyncio.run(calls())
    assert handle.function == f"{client.settings.prefix}{add.name}"
    assert results == list(range(1, 21))
    assert queued(job_server, other.function) == 1


def test_asubmit__failure(client: Client) -> None:
    def fail(*_args: Any) -> None:
        raise KeyError("shelf")

    with running(worker_of(client, add.name, fail)), pytest.raises(JobFailed, match="KeyError"):
        asyncio.run(add.asubmit(1))


def test_adelay__leaves_nothing_open_when_its_loop_ends(client: Client) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(3):
            asyncio.run(add.adelay(1))
        gc.collect()
    assert not client._loops._lives


def test_aclose__opens_anew(client: Client, job_server: JobServer) -> None:
    async def calls() -> None:
        await client.adelay("f", 1)
        await client.aclose()
        await client.aclose()
        await client.adelay("f", 2)

    asyncio.run(calls())
    assert queued(job_server, f"{client.settings.prefix}f") == 2


def test_expires__counts_from_when_the_job_is_due() -> None:
    now = 1_700_000_000.0
    assert SubmitOptions().expires_at(now) == 0
    assert SubmitOptions(expires=60).expires_at(now) == now + 60
    assert SubmitOptions(expires=60, after=30).expires_at(now) == now + 90
    moment = datetime(2030, 1, 1, tzinfo=UTC)
    assert SubmitOptions(expires=moment, after=30).expires_at(now) == moment.timestamp()


def test_meta__carries_the_options(client: Client) -> None:
    told: list[Any] = []

    def note(job: GearmanJob) -> bytes:
        told.append(decode_call(job.data).meta)
        return b"null"

    function = f"{client.settings.prefix}{add.name}"
    worker = GearmanWorker(client.settings.servers)
    worker.register_task(function, note)
    begun = time.time()
    options = add.options(
        expires=60, name="first", group="g", hook="shop.tell", save=False, chain=(["f", [1]],)
    )
    options.delay(1)
    add.delay(2)
    with running(worker):
        wait_for(lambda: len(told) == 2, "both jobs to run")
    full, bare = told
    assert (full.name, full.group, full.hook, full.save) == ("first", "g", "shop.tell", False)
    assert full.chain == (["f", [1]],)
    assert begun + 60 <= full.expires <= time.time() + 60
    assert bare == (bare.id, 1, bare.enqueued_at, False, 0.0, "", "", "", None, (), None)
