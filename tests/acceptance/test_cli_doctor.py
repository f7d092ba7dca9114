"""``gearfleet doctor`` and a real fleet, which is broken in one way after the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.clinics import Clinic
from tests.support.listeners import Listener
from tests.support.ports import free_port
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    with Clinic(tmp_path_factory.mktemp("clinic")) as clinic:
        yield clinic


def test_doctor__finds_nothing_where_all_is_well(clinic: Clinic) -> None:
    code, data = clinic.doctor()
    assert (code, data["findings"]) == (0, [])
    bar, foo = data["programs"]
    since = bar.pop("since")
    assert since.endswith("s")
    assert bar == {
        "program": "worker_bar",
        "tasks": 1,
        "planned": 2,
        "on disk": "as planned",
        "running": 2,
        "release": "r1",
        "registered": 2,
        "waiting": 0,
    }
    assert (foo["program"], foo["running"], foo["registered"]) == ("worker_foo", 1, 1)
    assert data["code"]["release"] == "r1"
    assert data["supervisord"]["address"] == clinic.daemon.url
    assert data["job_servers"][0]["workers"] == 3


def test_doctor__shows_the_truths_side_by_side(clinic: Clinic) -> None:
    done = clinic.gearfleet("doctor", "--timeout", "30", "-c", clinic.daemon.config)
    assert done.returncode == 0, done.stdout
    for words in ("Code: 2 tasks, release r1", "worker_bar", "as planned", "Nothing was found."):
        assert words in done.stdout


def test_doctor__workers_of_an_old_release(clinic: Clinic) -> None:
    with clinic.changed(clinic.settings, '"r1"', '"r2"'):
        code, data = clinic.doctor()
    assert code == 1
    first, _ = data["findings"]
    assert (first["code"], first["severity"]) == ("GF508", "warning")
    assert first["message"] == (
        "2 of 2 workers of program 'worker_bar' run release r1, and the code here is r2"
    )
    assert first["fix"] == f"Run gearfleet restart bar -c {clinic.daemon.config}"


def test_doctor__stopped_workers_and_a_backlog(clinic: Clinic) -> None:
    clinic.daemon.ctl("stop", "foo:*")
    try:
        code, found = clinic.found()
        assert (code, found.keys()) == (2, {"GF505", "GF602"})
        assert found["GF505"]["fix"].startswith("Start them with gearfleet start foo -c ")
        assert "task 'mill.worker_foo.greet'" in found["GF602"]["message"]
        clinic.client.delay("mill.worker_foo.greet", 1)
        code, found = clinic.found()
        assert (code, found.keys()) == (2, {"GF505", "GF603"})
        assert found["GF603"]["message"].startswith("1 waiting job of task 'mill.worker_foo.greet'")
    finally:
        clinic.daemon.ctl("start", "foo:*")
        clinic.wait_until_well()


def test_doctor__a_fatal_program_and_how_to_revive_it(clinic: Clinic) -> None:
    with clinic.changed(clinic.run, "exec", "exit 1; exec"):
        clinic.daemon.ctl("restart", "foo:*")
        wait_for(
            lambda: clinic.daemon.processes("foo")["worker_foo_00"]["statename"] == "FATAL",
            "a FATAL worker",
        )
        code, found = clinic.found()
    fatal = found["GF502"]
    revive = fatal["fix"].partition("then ")[2].split()
    assert clinic.gearfleet(*revive[1:]).returncode == 0
    clinic.wait_until_well()
    assert (code, found.keys()) == (2, {"GF502", "GF602"})
    assert "1 of 1 processes of program 'worker_foo' are FATAL" in fatal["message"]
    assert "Exited too quickly" in fatal["message"]


def test_doctor__an_edited_file(clinic: Clinic) -> None:
    path = clinic.daemon.conf_d / "worker_bar.conf"
    with clinic.changed(path, "numprocs=2", "numprocs=9"):
        code, data = clinic.doctor()
    (found,) = data["findings"]
    assert code == 1
    assert found["code"] == "GF403"
    assert (found["file"], data["programs"][0]["on disk"]) == (str(path), "differs")


def test_doctor__processes_that_supervisord_does_not_know(clinic: Clinic) -> None:
    with clinic.changed(clinic.settings, "processes = 2", "processes = 3"):
        code, found = clinic.found()
    assert (code, found.keys()) == (2, {"GF402", "GF506"})
    assert "1 processes of program 'worker_bar' (worker_bar_02)" in found["GF506"]["message"]


def test_doctor__retries_at_a_job_server_that_forgets(clinic: Clinic) -> None:
    with clinic.changed(clinic.settings, "release =", "retries = 3\nrelease ="):
        code, found = clinic.found()
    assert (code, found.keys()) == (1, {"GF605"})


def test_doctor__the_plugin_and_too_few_descriptors(clinic: Clinic) -> None:
    factory = "gearfleet.supervisor.ctlplugin:make_controllerplugin"
    lost = clinic.main("lost.conf", factory, "gearfleet.nowhere:nothing")
    code, found = clinic.found("-c", lost)
    assert (code, found.keys()) == (2, {"GF510"})
    assert "cannot be resolved within [ctlplugin:gearfleet]" in found["GF510"]["message"]

    few = clinic.main("few.conf", "[supervisord]", "[supervisord]\nminfds=10")
    code, found = clinic.found("-c", few)
    assert (code, found.keys()) == (1, {"GF215"})

    bare = clinic.main("bare.conf", "[ctlplugin:gearfleet]", "[ctlplugin:other]")
    included = clinic.daemon.conf_d / "plugin.conf"
    included.write_text(f"[ctlplugin:gearfleet]\nsupervisor.ctl_factory = {factory}\n")
    try:
        code, found = clinic.found("-c", bare)
    finally:
        included.unlink()
    assert (code, found.keys()) == (2, {"GF213", "GF511"})


def test_doctor__tells_the_rest_when_the_tasks_do_not_import(clinic: Clinic) -> None:
    module = clinic.folder / "mill" / "gearman_workers" / "worker_foo.py"
    clinic.daemon.ctl("stop", "bar:worker_bar_01")
    try:
        with clinic.changed(module, "from gearfleet", "import nowhere\nfrom gearfleet"):
            code, found = clinic.found()
    finally:
        clinic.daemon.ctl("start", "bar:worker_bar_01")
        clinic.wait_until_well()
    assert (code, found.keys()) == (2, {"GF113", "GF505"})
    assert (found["GF113"]["file"], found["GF113"]["line"]) == (str(module), 1)
    assert "No module named 'nowhere'" in found["GF113"]["message"]


def test_doctor__tells_the_rest_when_supervisord_is_away(clinic: Clinic, tmp_path: Path) -> None:
    code, data = clinic.doctor("--url", f"unix://{tmp_path}/s.sock")
    assert (code, [each["code"] for each in data["findings"]]) == (2, ["GF501"])
    assert data["supervisord"]["silence"]
    assert [row["registered"] for row in data["programs"]] == [2, 1]


def test_doctor__tells_the_rest_when_a_job_server_is_away(clinic: Clinic) -> None:
    away = f"127.0.0.1:{free_port()}"
    both = f'servers = ["{clinic.server.address}", "{away}"]'
    with clinic.changed(clinic.settings, f'servers = ["{clinic.server.address}"]', both):
        code, data = clinic.doctor()
    assert (code, [each["code"] for each in data["findings"]]) == (2, ["GF601"])
    assert away in data["findings"][0]["message"]
    assert [row["running"] for row in data["programs"]] == [2, 1]


def say_nothing(listener: Listener) -> None:
    while True:
        listener.accept()


def test_doctor__waits_for_nobody_longer_than_told(clinic: Clinic) -> None:
    with Listener(say_nothing) as one, Listener(say_nothing) as other:
        words = ["--url", f"http://{one.address}", "--servers", other.address, "--timeout", "0.5"]
        code, found = clinic.found(*words)
    assert (code, {"GF501", "GF601"} <= found.keys()) == (2, True)
    for silence in ("GF501", "GF601"):
        assert "did not answer within 0.5 s" in found[silence]["message"]
