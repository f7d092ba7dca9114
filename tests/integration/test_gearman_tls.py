"""Client, worker, admin client and asyncio client through TLS, in front of both job servers."""

from __future__ import annotations

import asyncio
import logging
import shutil
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import Client
from gearfleet.config import load
from gearfleet.errors import GearmanError, LocalProtocolError, ServerUnavailable, TLSError
from gearfleet.gearman import (
    TLS,
    Address,
    AsyncGearmanClient,
    GearmanAdminClient,
    GearmanClient,
    GearmanWorker,
)
from gearfleet.gearman.aio.connect import connect
from tests.support.certificates import Authority
from tests.support.loops import in_a_loop
from tests.support.ports import free_port
from tests.support.running import running
from tests.support.tls_proxy import TLSProxy
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.job_servers import JobServer

    Submit = Callable[[Address], Any]

BIG = bytes(range(256)) * (32 * 4096)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"))


@pytest.fixture
def proxy(job_server: JobServer, authority: Authority) -> Iterator[TLSProxy]:
    with TLSProxy(job_server.address, authority.good) as proxy:
        yield proxy


@pytest.fixture
def address(proxy: TLSProxy, authority: Authority) -> Address:
    return Address("localhost", proxy.port, TLS(ca_certs=authority.ca_certs))


def _echo(address: Address | str, function: str, **options: Any) -> GearmanWorker:
    worker = GearmanWorker([address], **options)
    worker.register_task(function, lambda job: job.data)
    return worker


def _sync(address: Address) -> Any:
    with GearmanClient([address], connect_timeout=1.0) as client:
        return client.submit_job("tls", b"x", background=True)


def _admin(address: Address) -> Any:
    with GearmanAdminClient([address], connect_timeout=1.0) as admin:
        return admin.version()


def _async(address: Address) -> Any:
    async def story() -> Any:
        async with AsyncGearmanClient([address], connect_timeout=1.0) as client:
            return await client.submit_job("tls", b"x", background=True)

    return in_a_loop(story())


def _worker(address: Address) -> Any:
    """Work until the worker has said what it thinks of the job server."""
    said: list[logging.LogRecord] = []
    handler = logging.Handler()
    handler.emit = said.append  # type: ignore[method-assign]
    logger = logging.getLogger("gearfleet.gearman")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        with running(_echo(address, "tls.worker", connect_timeout=1.0)):
            mine = wait_for(
                lambda: [r for r in said if r.__dict__.get("server") == str(address)], "a word"
            )
    finally:
        logger.setLevel(logging.NOTSET)
        logger.removeHandler(handler)
    if mine[0].__dict__["action"] == "worker_unreachable":
        raise ServerUnavailable(mine[0].getMessage())


everyone = pytest.mark.parametrize("submit", [_sync, _admin, _async, _worker])


def test_jobs__of_every_size_and_number(address: Address, function: str) -> None:
    with running(_echo(address, function, prefetch=4)), GearmanClient([address]) as client:
        assert client.submit_job(function, b"").result == b""
        assert client.submit_job(function, BIG, poll_timeout=60).result == BIG
        jobs = [{"task": function, "data": b"%d" % number * 100} for number in range(2000)]
        requests = client.submit_multiple_jobs(jobs, poll_timeout=60)
        assert [request.result for request in requests] == [job["data"] for job in jobs]


def test_admin__asks_several_times_on_one_connection(address: Address, proxy: TLSProxy) -> None:
    with GearmanAdminClient([address]) as admin:
        assert admin.version()
        assert admin.ping_server() < 10
        assert admin.workers()
    assert proxy.accepted == 1


def test_threads__share_one_connection(
    address: Address, proxy: TLSProxy, function: str, job_server: JobServer
) -> None:
    """Some read while others write, which OpenSSL does not take without care."""
    with (
        running(_echo(job_server.address, function, prefetch=8)),
        GearmanClient([address]) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        client.submit_job(function, b"first")

        def submit(number: int) -> bool:
            data = b"%d." % number * (50_000 if number % 10 == 0 else 10)
            return bool(client.submit_job(function, data, poll_timeout=60).result == data)

        assert all(pool.map(submit, range(400)))
    assert proxy.accepted == 1


def test_tls_1_2(job_server: JobServer, authority: Authority, function: str) -> None:
    newest = ssl.TLSVersion.TLSv1_2
    with TLSProxy(job_server.address, authority.good, newest=newest) as proxy:
        address = Address("localhost", proxy.port, TLS(ca_certs=authority.ca_certs))
        with running(_echo(address, function)), GearmanClient([address]) as client:
            assert client.submit_job(function, BIG, poll_timeout=60).result == BIG


def test_names__an_ip_address_or_another_name_of_the_certificate(
    job_server: JobServer, authority: Authority
) -> None:
    with TLSProxy(job_server.address, authority.good) as proxy:
        assert _sync(Address("127.0.0.1", proxy.port, TLS(ca_certs=authority.ca_certs)))
    tls = TLS(ca_certs=authority.ca_certs, server_hostname="queue.example")
    with TLSProxy(job_server.address, authority.of_another_host) as proxy:
        address = Address("localhost", proxy.port, tls)
        assert _sync(address)
        assert _async(address)


def test_python_gearmans_dict(job_server: JobServer, authority: Authority) -> None:
    good = authority.good
    with TLSProxy(job_server.address, good, asks_for=authority) as proxy:
        files = {"keyfile": good.keyfile, "certfile": good.certfile, "ca_certs": authority.ca_certs}
        with GearmanClient([{"host": "localhost", "port": proxy.port, **files}]) as client:
            assert client.submit_job("tls", b"x", background=True).complete


def test_own_context(job_server: JobServer, authority: Authority) -> None:
    context = ssl.create_default_context(cafile=authority.ca_certs)
    with TLSProxy(job_server.address, authority.good) as proxy:
        assert _sync(Address("localhost", proxy.port, TLS(context=context)))


def test_text__in_the_settings(proxy: TLSProxy, authority: Authority) -> None:
    url = f"tls://localhost:{proxy.port}?ca_certs={authority.ca_certs}"
    client = Client(load(directory=Path("/"), environ={"GEARFLEET_SERVERS": url}))
    try:
        assert client.delay("tls", 1).server == f"tls://localhost:{proxy.port}"
    finally:
        client.close()


@everyone
def test_refused__unknown_authority(address: Address, stranger: Authority, submit: Submit) -> None:
    with pytest.raises(ServerUnavailable, match=r"authority is not trusted; give .* ca_certs"):
        submit(Address(address.host, address.port, TLS(ca_certs=stranger.ca_certs)))


@everyone
@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        ("expired", "certificate has expired: renew it"),
        (
            "of_another_host",
            "not valid for 'localhost': connect by a name that its certificate has",
        ),
    ],
)
def test_refused__certificate(
    gearmand: JobServer, authority: Authority, submit: Submit, certificate: str, reason: str
) -> None:
    with (
        TLSProxy(gearmand.address, getattr(authority, certificate)) as proxy,
        pytest.raises(ServerUnavailable, match=reason),
    ):
        submit(Address("localhost", proxy.port, TLS(ca_certs=authority.ca_certs)))


@everyone
def test_refused__a_job_server_without_tls(
    own_job_server: JobServer, authority: Authority, submit: Submit
) -> None:
    """Its answer depends on what it reads into the TLS hello (F13); it never becomes plain text."""
    host, _, port = own_job_server.address.rpartition(":")
    begun = time.monotonic()
    with pytest.raises(ServerUnavailable, match="does not speak TLS"):
        submit(Address(host, int(port), TLS(ca_certs=authority.ca_certs)))
    assert time.monotonic() - begun < 10


@everyone
def test_refused__silence(authority: Authority, submit: Submit) -> None:
    """As from gearmand, which waits for the end of what it takes for a line of text."""
    heard: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def listen() -> None:
            connection, _ = listener.accept()
            with connection:
                while chunk := connection.recv(65536):
                    heard.append(chunk)

        thread = threading.Thread(target=listen)
        thread.start()
        begun = time.monotonic()
        address = Address(*listener.getsockname(), TLS(ca_certs=authority.ca_certs))
        with pytest.raises(ServerUnavailable, match="no answer to the TLS handshake within 1 s"):
            submit(address)
        assert time.monotonic() - begun < 10
        thread.join(10)
    assert b"\0REQ" not in b"".join(heard)


def test_refused__silence_tells_the_limit_that_was_set_and_not_what_was_left_of_it() -> None:
    async def story(address: Address) -> None:
        await connect(address, asyncio.Protocol, timeout=5.0, until=time.monotonic() + 0.2)

    with (
        closing(socket.create_server(("127.0.0.1", 0))) as listener,
        pytest.raises(TLSError, match=r"no answer .*within 5 s"),
    ):
        in_a_loop(story(Address(*listener.getsockname(), TLS())))


def test_refusal__has_a_name_of_its_own(address: Address, stranger: Authority) -> None:
    wrong = Address(address.host, address.port, TLS(ca_certs=stranger.ca_certs))
    for submit in (_sync, _admin, _async):
        with pytest.raises(ServerUnavailable) as caught:
            submit(wrong)
        assert isinstance(caught.value.__cause__, TLSError)


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@everyone
def test_client_certificate__wanted_and_shown(
    gearmand: JobServer, authority: Authority, submit: Submit, version: ssl.TLSVersion
) -> None:
    with TLSProxy(gearmand.address, authority.good, asks_for=authority, newest=version) as proxy:
        own = authority.good
        tls = TLS(ca_certs=authority.ca_certs, certfile=own.certfile, keyfile=own.keyfile)
        submit(Address("localhost", proxy.port, tls))
        with pytest.raises(GearmanError, match="asks for a certificate of ours"):
            submit(Address("localhost", proxy.port, TLS(ca_certs=authority.ca_certs)))


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("submit", [_sync, _admin, _async])
def test_client_certificate__alert_of_openssl(
    authority: Authority, submit: Submit, version: str
) -> None:
    """Unlike asyncio's TLS, OpenSSL's own server says why it hangs up."""
    port, good = free_port(), authority.good
    server = subprocess.Popen(
        [
            *(str(shutil.which("openssl")), "s_server", "-accept", str(port), version, "-quiet"),
            *("-cert", good.certfile, "-key", good.keyfile, "-CAfile", authority.ca_certs),
            *("-Verify", "1", "-verify_return_error"),
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: _listens(port), "openssl to listen")
        with pytest.raises(GearmanError, match="asks for a certificate of ours"):
            submit(Address("localhost", port, TLS(ca_certs=authority.ca_certs)))
    finally:
        server.kill()
        server.wait()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("make", [GearmanClient, GearmanWorker, GearmanAdminClient])
def test_files__missing_ones_are_named_at_once(make: Any, tmp_path: Path) -> None:
    with pytest.raises(LocalProtocolError, match=r"nowhere\.pem"):
        make([Address("localhost", 4730, TLS(ca_certs=str(tmp_path / "nowhere.pem")))])


def test_lost_connection__worker_and_client_come_back(
    address: Address, proxy: TLSProxy, function: str, job_server: JobServer
) -> None:
    with running(_echo(address, function)), GearmanClient([address]) as client:
        assert client.submit_job(function, b"1").result == b"1"
        before = proxy.accepted
        proxy.cut()
        wait_for(lambda: proxy.accepted > before, "the worker to reconnect")
        job_server.wait_for_workers(function)
        assert client.submit_job(function, b"2").result == b"2"


def test_slow_worker_and_client__big_payloads_in_both_directions(
    address: Address, function: str
) -> None:
    """Both sides of the connection are full at times, so that writers have to read as well."""
    with running(_echo(address, function, prefetch=4)), GearmanClient([address]) as client:
        jobs = [{"task": function, "data": BIG[: 4 << 20]}] * 8
        requests = client.submit_multiple_jobs(jobs, poll_timeout=60)
        assert all(request.result == BIG[: 4 << 20] for request in requests)
