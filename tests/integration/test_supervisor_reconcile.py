"""The extension inside a real supervisord: what it changes, and what it leaves alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xmlrpc.client import Fault

import pytest

from tests.support.crews import Crew, Watch, require_debian
from tests.support.waiting import wait_for

if TYPE_CHECKING:
    from collections.abc import Iterator

START = {"bar": {"w": 4}, "foo": {"x": 1}}


@pytest.fixture(scope="module")
def ours() -> Iterator[Crew]:
    """Supervisor 4.3 with the extension; its processes end at once."""
    with Crew(START, extension=True) as crew:
        yield crew


@pytest.fixture(scope="module")
def debian() -> Iterator[Crew]:
    """The same with Debian's 4.2.5."""
    with Crew(START, python=require_debian(), extension=True) as crew:
        yield crew


@pytest.fixture
def crew(ours: Crew) -> Crew:
    """The shared crew, as it was at the beginning."""
    return reset(ours)


@pytest.fixture(params=["ours", "debian"])
def each(request: pytest.FixtureRequest) -> Crew:
    """Each of the two in turn."""
    return reset(request.getfixturevalue(request.param))


def reset(crew: Crew) -> Crew:
    for mark in crew.folder.glob("broken.*"):
        mark.unlink()
    crew.job(0)
    configure(crew)
    reconcile(crew, names=[*START, "new"], share="100%")
    crew.daemon.rpc().supervisor.startAllProcesses(True)
    crew.daemon.wait_until_running()
    crew.wait_until_begun()
    return crew


def configure(
    crew: Crew,
    groups: dict[str, dict[str, int]] = START,
    *,
    words: str = "",
    options: str = "startsecs=0",
) -> None:
    """Write the configuration; without `startsecs` a process is RUNNING at once."""
    crew.configure(groups, words=words, options=options)


def begin(crew: Crew, names: list[str] | None = None, share: str = "25%") -> int:
    last: int = crew.daemon.rpc().gearfleet.reconcile(names or ["bar"], share)
    return last


def finished(crew: Crew, since: int) -> dict[str, Any]:
    """Wait until nothing is under way, and return what happened since."""
    rpc = crew.daemon.rpc()
    return dict(
        wait_for(
            lambda: None if (told := rpc.gearfleet.progress(since))["active"] else told,
            "the change to be made",
        )
    )


def reconcile(crew: Crew, names: list[str] | None = None, share: str = "25%") -> dict[str, Any]:
    return finished(crew, begin(crew, names, share))


def whats(told: dict[str, Any]) -> dict[str, str]:
    """Return what happened last to each process."""
    return {event["process"]: event["what"] for event in told["events"]}


def assert_nothing_to_update(crew: Crew) -> None:
    """Hold what `supervisorctl reread` and `update` say after every change."""
    before = crew.pids()
    assert crew.daemon.rpc().supervisor.reloadConfig() == [[[], [], []]]
    assert crew.pids() == before


def test_reconcile__more_processes_touch_none_of_the_old(each: Crew) -> None:
    before = each.pids()
    configure(each, {**START, "bar": {"w": 8}})
    told = reconcile(each)
    after = each.pids()
    assert {name: after[name] for name in before} == before
    assert each.states("bar") == {f"w_{n:02}": "RUNNING" for n in range(8)}
    assert whats(told) == {f"bar:w_{n:02}": "added" for n in range(4, 8)}
    assert_nothing_to_update(each)
    assert each.daemon.ctl("reread").stdout == "No config updates to processes\n"
    assert each.daemon.ctl("update").stdout == ""


def test_reconcile__fewer_processes_drain_the_highest(each: Crew) -> None:
    each.job(0.5)
    before = each.pids()
    done = len(each.diary("done"))
    configure(each, {**START, "bar": {"w": 1}})
    told = reconcile(each)
    assert each.pids() == {name: before[name] for name in ("w_00", "x_00")}
    assert sorted(each.diary("done")[done:]) == ["w_01", "w_02", "w_03"]
    assert set(whats(told).values()) == {"removed"}
    assert_nothing_to_update(each)


def test_reconcile__a_changed_command_goes_in_waves(each: Crew) -> None:
    before = each.pids()
    configure(each, words="--new")
    with Watch(each.daemon, "bar") as watch:
        told = reconcile(each, share="1")
    assert watch.lowest_total == 3
    assert all(before[name] != pid for name, pid in each.pids("bar").items())
    assert each.pids("foo") == {"x_00": before["x_00"]}
    assert whats(told) == {f"bar:w_{n:02}": "replaced" for n in range(4)}
    assert told["failed"] == []
    # The other group was changed too, and nobody asked for it.
    assert each.daemon.rpc().supervisor.reloadConfig() == [[[], ["foo"], []]]


def test_reconcile__a_program_comes_to_a_group_and_leaves_it(crew: Crew) -> None:
    before = crew.pids()
    configure(crew, {**START, "bar": {"v": 2, "w": 4}})
    assert set(whats(reconcile(crew))) == {"bar:v_00", "bar:v_01"}
    assert {name: pid for name, pid in crew.pids().items() if name in before} == before
    assert_nothing_to_update(crew)
    configure(crew)
    assert set(whats(reconcile(crew)).values()) == {"removed"}
    assert crew.pids() == before
    assert_nothing_to_update(crew)


def test_reconcile__a_group_comes_and_goes(each: Crew) -> None:
    before = each.pids()
    configure(each, {**START, "new": {"n": 2}})
    assert set(whats(reconcile(each, ["new"])).values()) == {"added"}
    assert each.states("new") == {"n_00": "RUNNING", "n_01": "RUNNING"}
    assert_nothing_to_update(each)
    configure(each)
    assert set(whats(reconcile(each, ["new"])).values()) == {"removed"}
    assert each.pids() == before
    assert_nothing_to_update(each)


def test_reconcile__what_only_supervisord_heeds_restarts_nothing(crew: Crew) -> None:
    before = crew.pids()
    options = (
        "startretries=24\nautorestart=unexpected\nexitcodes=2,3,78\npriority=7\nstopsignal=INT"
    )
    configure(crew, options=options)
    told = reconcile(crew, ["bar", "foo"])
    assert set(whats(told).values()) == {"adjusted"}
    assert crew.pids() == before
    assert_nothing_to_update(crew)


def test_reconcile__a_process_that_was_stopped_stays_stopped(crew: Crew) -> None:
    crew.daemon.ctl("stop", "bar:w_02")
    configure(crew, words="--new")
    told = reconcile(crew, ["bar", "foo"])
    assert crew.states("bar")["w_02"] == "STOPPED"
    assert whats(told)["bar:w_02"] == "adjusted"
    assert_nothing_to_update(crew)
    before = crew.pids()
    crew.daemon.ctl("start", "bar:w_02")
    assert crew.pids().pop("w_02") and crew.states("bar")["w_02"] == "RUNNING"
    assert {**crew.pids(), "w_02": 0} == before


def test_reconcile__a_failure_halts_and_the_next_attempt_does_the_rest(each: Crew) -> None:
    before = each.pids()
    each.mark("broken", "w_00")
    configure(each, words="--new", options="startsecs=2")
    told = reconcile(each, share="1")
    (failed,) = told["failed"]
    assert failed["group"] == "bar"
    assert failed["reason"].startswith("bar:w_00: Exited too quickly")
    assert failed["untouched"] == ["w_01", "w_02", "w_03"]
    after = each.pids("bar")
    assert all(after[name] == before[name] for name in failed["untouched"])
    assert "bar" in each.daemon.rpc().supervisor.reloadConfig()[0][1]

    (each.folder / "broken.w_00").unlink()
    assert reconcile(each, ["bar", "foo"])["failed"] == []
    assert set(each.states().values()) == {"RUNNING"}
    assert_nothing_to_update(each)


def test_reconcile__what_was_told_to_stop_when_another_failed_comes_back(crew: Crew) -> None:
    crew.job(1.5)
    before = crew.pids()
    crew.daemon.rpc().supervisor.stopProcess("bar:w_00", True)
    crew.mark("broken", "w_00")
    configure(crew, options="startsecs=1")
    reconcile(crew)
    crew.daemon.rpc().supervisor.startProcess("bar:w_00", False)
    wait_for(lambda: crew.states()["w_00"] == "BACKOFF", "w_00 in BACKOFF")
    configure(crew, words="--new", options="startsecs=2")
    told = reconcile(crew, share="2")  # w_00 at once, w_01 in its job
    assert told["failed"][0]["untouched"] == ["w_02", "w_03"]
    assert whats(told)["bar:w_01"] == "resumed"
    assert crew.pids()["w_01"] != before["w_01"]
    wait_for(lambda: crew.states()["w_01"] == "RUNNING", "w_01 to be back")


def test_reconcile__a_new_aim_on_the_way(crew: Crew) -> None:
    """Down to one, and up again before the others have gone: those come back."""
    crew.job(3.0)
    before = crew.pids()
    configure(crew, {**START, "bar": {"w": 1}})
    since = begin(crew)
    wait_for(lambda: crew.states()["w_03"] == "STOPPING", "w_03 to drain")
    configure(crew, {**START, "bar": {"w": 3}})
    begin(crew)
    told = finished(crew, since)
    assert whats(told) == {"bar:w_01": "replaced", "bar:w_02": "replaced", "bar:w_03": "removed"}
    assert crew.pids()["w_00"] == before["w_00"]
    assert set(crew.states("bar").values()) == {"RUNNING"}
    assert_nothing_to_update(crew)


def test_reconcile__a_stock_update_meanwhile_does_no_harm(crew: Crew) -> None:
    crew.job(0.3)
    configure(crew, words="--new")
    since = begin(crew, share="1")
    crew.daemon.ctl("update", "bar")
    assert "meanwhile" in finished(crew, since)["failed"][0]["reason"]
    assert reconcile(crew, ["bar", "foo"])["failed"] == []
    assert_nothing_to_update(crew)


def test_reconcile__the_daemon_goes_on_alone_and_answers_meanwhile(crew: Crew) -> None:
    crew.job(1.0)
    before = crew.pids("bar")
    configure(crew, words="--new")
    begin(crew, share="2")  # and nobody asks what became of it
    assert crew.daemon.rpc().gearfleet.progress(0)["active"] == ["bar"]
    wait_for(
        lambda: not set(before.values()) & set(crew.pids("bar").values()), "all to be replaced"
    )
    crew.daemon.wait_until_running("bar")


def test_reconcile__a_configuration_that_is_refused_changes_nothing(crew: Crew) -> None:
    before = crew.pids()
    configure(crew, {**START, "bar": {"w": 8}}, options="startsecs=soon")
    with pytest.raises(Fault, match="'soon'"):
        begin(crew)
    assert crew.pids() == before


def test_reconcile__what_is_no_group_of_programs_is_refused(crew: Crew) -> None:
    listener = crew.daemon.conf_d / "listener.conf"
    listener.write_text("[eventlistener:ear]\ncommand=/bin/cat\nevents=TICK_60\n")
    try:
        with pytest.raises(Fault, match="'ear' is not a group of programs"):
            begin(crew, ["bar", "ear"])
    finally:
        listener.unlink()


def test_preview__says_what_would_change_and_changes_nothing(crew: Crew) -> None:
    before = crew.pids()
    text = crew.daemon.config.read_text().replace("[include]", "[nothing]")
    new = (crew.daemon.conf_d / "crew.conf").read_text().replace("numprocs=4", "numprocs=5")
    told = crew.daemon.rpc().gearfleet.preview(text + new, ["bar", "foo"])
    row = {"group": "bar", "name": "w_04", "action": "add", "state": "", "pid": 0, "run_dir": ""}
    assert told == {"processes": [row], "kept": 5}
    assert crew.pids() == before
    assert_nothing_to_update(crew)


def test_version__is_known(each: Crew) -> None:
    told = each.daemon.rpc().gearfleet.version()
    assert told["refusal"] == ""
    assert told["supervisor"] in {"4.2.5", "4.3.0"}
