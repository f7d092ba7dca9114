"""From samples to rows, and from rows to lines."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from gearfleet.cli.top.keys import LOOK, QUIT, keys_of, press
from gearfleet.cli.top.layout import SHOWN, Screen, lines_of
from gearfleet.cli.top.tables import clip, columns_of, plain, table
from gearfleet.gearman.text import FunctionStatus
from gearfleet.monitor import JobServer, Supervision, TaskTruth
from gearfleet.monitor.arranging import SORTS, Arrangement, arranged
from gearfleet.monitor.at_once import at_once
from gearfleet.monitor.sample import Sample
from gearfleet.monitor.view import View, view_of
from gearfleet.supervisor.processes import Process, State
from gearfleet.worker.boards import About, BoardEntry, JobInHand

RESIZE = TaskTruth(name="resize", queue="bar", function="p.resize", later="p.resize+later")


def status(function: str, total: int = 0, running: int = 0, workers: int = 0) -> FunctionStatus:
    return FunctionStatus(function=function, total=total, running=running, workers=workers)


def server(*rows: FunctionStatus, **fields: Any) -> JobServer:
    return JobServer(address="h:4730", functions={row.function: row for row in rows}, **fields)


def board(slot: str, pid: int, *, done: int = 0, began: float = 0.0, task: str = "") -> BoardEntry:
    job = JobInHand(function="f", task=task, handle="H:1", unique="u.1", started=90, deadline=0)
    program = slot.partition("/")[0].removesuffix("_00")
    return BoardEntry(
        path=Path(slot),
        about=About(program=program, slot=slot, pid=pid, began=began),
        state="busy" if task else "idle",
        jobs=(job,) if task else (),
        done=done,
        failed=0,
        given_back=0,
        rss_bytes=50_000_000,
        ended=0.0,
        reason="",
        is_alive=True,
    )


def process(name: str, pid: int, state: State = State.RUNNING) -> Process:
    return Process(group="g", name=name, state=state, pid=pid)


def sample(now: float = 100.0, **fields: Any) -> Sample:
    supervision = Supervision(
        address=fields.pop("address", "unix:///s.sock"),
        processes=fields.pop("processes", ()),
        workers=fields.pop("workers", ()),
    )
    return Sample(now=now, supervision=supervision, **{"servers": (), **fields})


def test_queues__are_those_of_all_servers_together_with_what_is_delayed() -> None:
    servers = (
        server(status("p.resize", total=5, running=2, workers=3), status("p.resize+later", 4)),
        server(status("p.resize", total=1, workers=1), status("other", total=7)),
    )
    ours, other = view_of(sample(servers=servers, tasks=(RESIZE,))).queues
    assert (ours.queue, ours.function) == ("bar", "p.resize")
    assert (ours.waiting, ours.delayed, ours.running, ours.workers) == (4, 4, 2, 4)
    assert (other.queue, other.function, other.waiting) == ("", "other", 7)


def test_queues__a_task_that_no_server_knows_is_there() -> None:
    (row,) = view_of(sample(servers=(server(),), tasks=(RESIZE,))).queues
    assert (row.function, row.waiting, row.workers) == ("p.resize", 0, 0)


def test_servers__one_that_is_silent_is_down() -> None:
    (row,) = view_of(sample(servers=(JobServer(address="h:1", silence="refused"),))).servers
    assert (row.is_up, row.silence) == (False, "refused")


def test_processes__a_worker_and_its_process_are_one_row() -> None:
    seen = sample(
        processes=(process("foo_00", 7), process("web", 8), process("pool_00", 9)),
        workers=(board("foo_00", 7, task="resize"), board("pool_00/0", 10), board("pool_00/1", 11)),
    )
    rows = {row.process: row for row in view_of(seen).processes}
    assert list(rows) == ["g:foo_00", "g:pool_00/0", "g:pool_00/1", "g:web"]
    foo = rows["g:foo_00"]
    assert (foo.state, foo.supervised, foo.tasks) == ("busy", "RUNNING", ("resize",))
    assert (foo.handles, foo.seconds) == (("H:1",), 10.0)
    assert not rows["g:web"].is_worker


@pytest.mark.parametrize("address", ["http://elsewhere:9001", ""])
def test_processes__of_another_host_are_not_mixed_with_workers_of_this_one(address: str) -> None:
    seen = sample(address=address, processes=(process("foo_00", 7),), workers=(board("foo_00", 7),))
    assert [row.process for row in view_of(seen).processes] == ["g:foo_00", "foo_00"]


def test_processes__of_the_same_name_but_another_pid_are_two() -> None:
    seen = sample(processes=(process("foo_00", 7),), workers=(board("foo_00", 70),))
    assert [(row.process, row.pid) for row in view_of(seen).processes] == [
        ("g:foo_00", 7),
        ("foo_00", 70),
    ]


def test_rate__since_the_last_look_or_since_the_worker_began() -> None:
    before = sample(90.0, workers=(board("a", 1, done=10),))
    now = sample(100.0, workers=(board("a", 1, done=30), board("b", 2, done=9, began=97.0)))
    assert [row.rate for row in view_of(now, before).processes] == [2.0, 3.0]
    assert [row.rate for row in view_of(before).processes] == [10 / 90]
    assert [row.rate for row in view_of(before, before).processes] == [0.0]


def test_programs__are_what_their_processes_do_together() -> None:
    seen = sample(
        processes=(process("foo_00", 0, State.FATAL), process("foo_01", 7)),
        workers=(board("foo_01", 7, done=5, task="resize"),),
    )
    row, other = view_of(seen).programs
    assert (row.program, row.processes, row.up) == ("foo", 1, 0)
    assert (other.program, other.busy, other.done) == ("foo_01", 1, 5)


def a_view(count: int = 3) -> View:
    workers = tuple(board(f"w{n:02}", n + 1, done=n, began=0.0) for n in range(count))
    functions = [status(f"f{n:02}", total=n) for n in range(count)]
    return view_of(sample(servers=(server(*functions, version="1.1.20"),), workers=workers))


@pytest.mark.parametrize(
    ("sort", "is_reversed", "queues", "processes"),
    [
        ("name", False, ["f00", "f01", "f02"], ["w00", "w01", "w02"]),
        ("name", True, ["f02", "f01", "f00"], ["w02", "w01", "w00"]),
        ("waiting", False, ["f02", "f01", "f00"], ["w00", "w01", "w02"]),
        ("rate", False, ["f00", "f01", "f02"], ["w02", "w01", "w00"]),
        ("rate", True, ["f00", "f01", "f02"], ["w00", "w01", "w02"]),
    ],
)
def test_sort__by_what_a_table_has(
    sort: str, is_reversed: bool, queues: list[str], processes: list[str]
) -> None:
    shown = arranged(a_view(), Arrangement(sort=sort, is_reversed=is_reversed))
    assert [row.function for row in shown.queues] == queues
    assert [row.process for row in shown.processes] == processes


def test_filter__in_any_case_and_servers_stay() -> None:
    shown = arranged(a_view(), Arrangement(text="W01"))
    assert [row.process for row in shown.processes] == ["w01"]
    assert (len(shown.queues), len(shown.servers)) == (0, 1)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("shown", SHOWN)
@pytest.mark.parametrize("size", [(1, 1), (10, 2), (20, 5), (80, 24), (300, 100)])
def test_screen__is_never_larger_than_the_terminal(
    sort: str, shown: str, size: tuple[int, int]
) -> None:
    width, height = size
    screen = Screen(width=width, height=height, shown=shown, arrangement=Arrangement(sort=sort))
    lines = lines_of(a_view(60), screen)
    assert len(lines) <= height
    assert max(columns_of(line.text) for line in lines) <= width


def test_screen__says_how_many_rows_it_has_no_room_for() -> None:
    texts = [line.text for line in lines_of(a_view(60), Screen(height=40))]
    assert any(text.startswith("... ") and text.endswith(" more") for text in texts)


def test_table__of_a_server_that_is_down_has_no_numbers() -> None:
    seen = view_of(sample(servers=(JobServer(address="h:1", silence="refused"),)))
    assert table("servers", seen, 80)[1].text.split() == ["h:1", "down", "?", "?", "?"]


def test_at_once__in_order_and_with_what_is_raised() -> None:
    numbers = [partial(int, str(n)) for n in range(5)]
    assert at_once(numbers) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="'x'"):
        at_once([*numbers, partial(int, "x")])


def test_screen__before_the_first_look() -> None:
    assert [line.text for line in lines_of(None, Screen())][1] == "Looking ..."


def test_names__cannot_steer_the_terminal() -> None:
    seen = view_of(sample(servers=(server(status("\x1b[2Jevil\n\x9b1m")),)))
    assert all(line.text.isprintable() for line in lines_of(seen, Screen()))
    assert plain("a\x1bb\tc") == "a?b?c"


def test_table__is_cut_in_its_widest_text() -> None:
    seen = view_of(sample(servers=(server(status("f" * 100, total=3)),)))
    head, row = table("queues", seen, 60)
    assert columns_of(head.text) <= 60
    assert row.text.split()[2:] == ["3", "0", "0", "0"]


@pytest.mark.parametrize(
    ("text", "width", "shown"),
    [("abc", 3, "abc"), ("abcd", 3, "ab."), ("abc", 1, "."), ("日本語", 4, "日."), ("é", 1, "é")],
)
def test_clip__in_columns_of_the_terminal(text: str, width: int, shown: str) -> None:
    assert clip(text, width) == shown
    assert columns_of(shown) <= width


def test_keys__of_one_and_of_several_bytes() -> None:
    typed = "q\x1b[A\x1bOBé\x1b[5~/".encode()
    assert list(keys_of(typed)) == [b"q", b"\x1b[A", b"\x1bOB", "é".encode(), b"\x1b[5~", b"/"]


def pressed(typed: str, screen: Screen | None = None) -> Screen:
    found = screen or Screen(shown="queues")
    for key in keys_of(typed.encode()):
        after = press(key, found, 10)
        assert isinstance(after, Screen)
        found = after
    return found


def test_keys__commands() -> None:
    assert press(b"q", Screen(), 0) == QUIT
    assert press(b" ", Screen(), 0) == LOOK
    assert pressed("s").arrangement.sort == SORTS[1]
    assert pressed("s" * len(SORTS)).arrangement.sort == SORTS[0]
    assert pressed("r").arrangement.is_reversed
    assert pressed("\t").shown == "programs"
    assert pressed("x%\x1b[Z") == Screen(shown="queues")


def test_keys__scroll_as_far_as_there_are_rows() -> None:
    assert pressed("\x1b[A").offset == 0
    assert pressed("j\x1b[B").offset == 2
    assert pressed("\x1b[6~" * 9).offset == 9
    assert pressed("\x1b[6~\t").offset == 0


@pytest.mark.parametrize(
    ("typed", "text", "editing"),
    [
        ("/ab", "ab", "ab"),
        ("/ab\x7f", "a", "a"),
        ("/ab\r", "ab", None),
        ("/ab\x1b", "", None),
        ("/ab\r\x1b", "", None),
        ("/aéq \x1b[A", "aéq ", "aéq "),
        ("/\x7f\x01", "", ""),
    ],
)
def test_keys__type_a_filter(typed: str, text: str, editing: str | None) -> None:
    screen = pressed(typed)
    assert (screen.arrangement.text, screen.editing) == (text, editing)


def test_filter__that_is_typed_is_shown_in_the_last_line() -> None:
    screen = replace(pressed("/ab"), width=80, height=24)
    assert lines_of(a_view(), screen)[-1].text.startswith("Show only names with: ab_")
