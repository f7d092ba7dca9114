"""J1, G1, G4, G11: the originals' settings of job servers and of function names."""

from __future__ import annotations

import json
import zlib
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from gearfleet import config
from gearfleet.compat import GearmanClient, GearmanWorker
from gearfleet.contrib.django.project import read_django
from gearfleet.errors import ConfigError
from gearfleet.gearman import GearmanClient as BytesClient
from gearfleet.tasks import naming
from gearfleet.tasks.naming import function_name
from tests.originals.projects import make_project
from tests.support.processes import run
from tests.support.running import running

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gearfleet.config import Settings
    from tests.support.job_servers import JobServer


@pytest.fixture(autouse=True)
def _forget_settings() -> Iterator[None]:
    yield
    config.use(None)


def read(**django: Any) -> Settings:
    return read_django(SimpleNamespace(**django), installed=(), environ={})


def servers(**django: Any) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the job servers of clients and of workers."""
    settings = read(**django)
    return settings.servers, settings.servers_of_workers


LOCAL = ("127.0.0.1:4730",)


def test_j01__clients_and_workers_each_have_theirs() -> None:
    given = {"GEARMAN_CLIENT_SERVERS": ["a"], "GEARMAN_WORKER_SERVERS": ["b:1", "[::1]:2"]}
    assert servers(**given) == (("a",), ("b:1", "[::1]:2"))


def test_j01__default_and_optional_port() -> None:
    assert servers() == (LOCAL, LOCAL)
    config.use(read(GEARMAN_CLIENT_SERVERS=["127.0.0.1"]))
    assert [str(address) for address in GearmanClient().addresses] == ["127.0.0.1:4730"]


def test_j01__the_clients_of_compat_use_them() -> None:
    config.use(read(GEARMAN_CLIENT_SERVERS=["a:1"], GEARMAN_WORKER_SERVERS=["b:1"]))
    assert [str(address) for address in GearmanClient().addresses] == ["a:1"]
    assert [str(address) for address in GearmanWorker().addresses] == ["b:1"]


def test_j01__are_read_at_use() -> None:
    config.use(read(GEARMAN_CLIENT_SERVERS=["a:1"]))
    GearmanClient()
    config.use(read(GEARMAN_CLIENT_SERVERS=["c:1"]))
    assert [str(address) for address in GearmanClient().addresses] == ["c:1"]


def test_j01__a_wrong_one_is_named() -> None:
    with pytest.raises(ConfigError, match="a:port"):
        read(GEARMAN_CLIENT_SERVERS=["a:port"])


def test_j01__ours_count_before_them() -> None:
    given = {"GEARFLEET": {"SERVERS": ["d:1"]}, "GEARMAN_CLIENT_SERVERS": ["a:1"]}
    assert servers(**given) == (("d:1",), ("d:1",))


def test_j01__the_command_line_counts_before_all(tmp_path: Path, gearmand: JobServer) -> None:
    """A worker of a real Django project, started for another job server than its settings say."""
    project = make_project(tmp_path, "127.0.0.1:1", {"worker_foo": "import gearfleet"})
    project.add_settings("GEARFLEET = {}\nGEARMAN_WORKER_SERVERS = ['127.0.0.1:2']\n")
    done = run(
        project.gearfleet("supervisor-conf", "--json", "--servers", gearmand.address),
        cwd=tmp_path,
        env=project.environment,
    )
    assert json.loads(done.stdout)["servers"] == [gearmand.address]
    done = run(
        project.gearfleet("supervisor-conf", "--json"), cwd=tmp_path, env=project.environment
    )
    assert json.loads(done.stdout)["servers"] == ["127.0.0.1:2"]


def test_g01__both_roles() -> None:
    assert servers(GEARMAN_SERVERS=["a:1"]) == (("a:1",), ("a:1",))
    assert servers(GEARMAN_SERVERS="a:1") == (("a:1",), ("a:1",))


def test_g01__where_those_of_j1_are_absent() -> None:
    assert servers(GEARMAN_SERVERS=["a:1"], GEARMAN_CLIENT_SERVERS=["b:1"]) == (
        ("b:1",),
        ("a:1",),
    )
    assert servers(GEARMAN_SERVERS=["a:1"], GEARMAN_WORKER_SERVERS=["b:1"]) == (
        ("a:1",),
        ("b:1",),
    )


def test_g01__unset_is_the_default() -> None:
    assert servers(GEARMAN_SERVERS=None) == (LOCAL, LOCAL)


def function_of(name: str, **django: Any) -> str:
    return function_name(name, read(**django).prefix)


def test_g04__a_callable_for_client_and_worker(job_server: JobServer, function: str) -> None:
    settings = read(
        GEARMAN_JOB_NAME=lambda name: f"{name}.internal", GEARMAN_SERVERS=[job_server.address]
    )
    config.use(settings)
    worker = GearmanWorker()
    worker.register_task(function, lambda worker, job: job.task)
    with running(worker), GearmanClient() as client:
        done = client.submit_job(function, poll_timeout=20)
    assert done.result == f"{function}.internal"


@pytest.mark.parametrize("value", [None, "%(app)s.%(job)s", 5])
def test_g04__not_callable_leaves_names_unchanged(value: Any) -> None:
    assert function_of("shop.f", GEARMAN_JOB_NAME=value) == "shop.f"
    assert function_of("shop.f") == "shop.f"


def test_g04__cwd_is_the_originals_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    naming._directory_prefix.cache_clear()
    monkeypatch.chdir(tmp_path)
    expected = f"{zlib.adler32(str(tmp_path).encode()) & 0xFFFFFFFF}.shop.f"
    assert function_of("shop.f", GEARMAN_JOB_NAME="cwd") == expected
    monkeypatch.chdir("/")
    assert function_of("shop.f", GEARMAN_JOB_NAME="cwd") == expected
    naming._directory_prefix.cache_clear()


def test_g04__ours_counts_before_it() -> None:
    given = {"GEARFLEET": {"PREFIX": "new."}, "GEARMAN_JOB_NAME": str.upper}
    assert function_of("shop.f", **given) == "new.shop.f"


def test_g11__namespace() -> None:
    assert function_of("shop.f", GEARMAN_CLIENT_NAMESPACE="live") == "shop.f@live"
    assert function_of("shop.f", GEARMAN_CLIENT_NAMESPACE="") == "shop.f"
    both = {"GEARMAN_CLIENT_NAMESPACE": "live", "GEARMAN_JOB_NAME": str.upper}
    assert function_of("shop.f", **both) == "SHOP.F@live"


def test_g11__is_the_function_on_the_job_server(job_server: JobServer, function: str) -> None:
    config.use(read(GEARMAN_CLIENT_NAMESPACE="live", GEARMAN_SERVERS=[job_server.address]))
    worker = GearmanWorker()
    worker.register_task(function, lambda worker, job: "served")
    with running(worker), BytesClient([job_server.address]) as client:
        assert client.submit_job(f"{function}@live", b"", poll_timeout=20).result == b'"served"'
