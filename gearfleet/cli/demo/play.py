"""The play itself: start the fleet, let jobs flow, restart a group, count."""

from __future__ import annotations

import signal
import threading
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from gearfleet.cli.demo.books import Books, read_books
from gearfleet.cli.demo.load import Load
from gearfleet.cli.demo.stage import Stage
from gearfleet.errors import EXIT_FAILED

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import FrameType

    from gearfleet.cli.output import Output
    from gearfleet.client import Client
    from gearfleet.supervisor.control import Supervisor

GROUP = "bar"
#: More orders than jobs can be submitted while the demo runs.
ORDERS = 600
#: How long the last background jobs may take.
FINISH_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What the demo counted."""

    submitted: int
    done: int
    lost: tuple[str, ...]
    twice: tuple[str, ...]
    failures: tuple[str, ...]
    restart_status: int
    pids_before: Mapping[str, int]
    pids_after: Mapping[str, int]
    fewest_running: int
    in_background: int
    books: Books
    seconds: float

    @property
    def kept(self) -> tuple[str, ...]:
        """The processes that have the pid that they had before the restart."""
        return tuple(
            name for name, pid in self.pids_before.items() if self.pids_after.get(name) == pid
        )

    @property
    def is_good(self) -> bool:
        """Whether the fleet was restarted, nothing was lost and all results are there."""
        is_safe = not (self.lost or self.failures or self.kept or self.restart_status)
        return is_safe and self.is_recorded and self.books.account is not None

    @property
    def is_recorded(self) -> bool:
        """Whether there is a result of every background job."""
        return self.books.recorded == self.in_background


def play(*, servers: str | None, jobs: int, keep: bool, output: Output) -> int:
    """Run the demo and print its score; return the exit code."""
    with _terminated_like_interrupted(), Stage(output, servers=servers, keep=keep) as stage:
        stage.open_shop(ORDERS)
        stage.start_job_server()
        stage.configure()
        control = stage.start_supervisord()
        output.talk("")
        score = _restart_under_load(stage, control, jobs, output)
        _report(score, output)
        if keep:
            output.talk(_what_next(stage))
        return 0 if score.is_good else EXIT_FAILED


class _terminated_like_interrupted:  # noqa: N801 - reads as a statement
    """Make SIGTERM end the demo as Ctrl-C does: with everything cleaned up."""

    def __enter__(self) -> None:
        self._previous = signal.signal(signal.SIGTERM, self._interrupt)

    def __exit__(self, *failure: object) -> None:
        signal.signal(signal.SIGTERM, self._previous)

    @staticmethod
    def _interrupt(signum: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt


class _Sampler:
    """Watches a group from a thread of its own; remembers the fewest processes RUNNING."""

    def __init__(self, control: Supervisor) -> None:
        self.fewest = len(control.processes(GROUP))
        self._control = control
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> _Sampler:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(0.1):
            states = [process.state.name for process in self._control.processes(GROUP)]
            self.fewest = min(self.fewest, states.count("RUNNING"))


def _restart_under_load(stage: Stage, control: Supervisor, jobs: int, output: Output) -> Score:
    began = time.monotonic()
    load = Load(_client(stage), stage.ledger)
    before = _pids(control)
    with _Sampler(stage.control()) as sampler, _Bar(output, jobs) as bar:
        load.start()
        try:
            _wait(lambda: bar.show(load) >= jobs // 4, FINISH_TIMEOUT)
            status = _restart(stage, load, bar)
            _wait(lambda: bar.show(load) >= jobs, FINISH_TIMEOUT)
        finally:
            load.stop()
        _wait(lambda: bar.show(load) >= len(load.submitted), FINISH_TIMEOUT)
    counts = load.times_done()
    seconds = time.monotonic() - began
    return Score(
        submitted=len(load.submitted),
        done=len(counts),
        lost=tuple(job for job in load.submitted if job not in counts),
        twice=tuple(job for job, times in counts.items() if times > 1),
        failures=tuple(load.failures),
        restart_status=status,
        pids_before=before,
        pids_after=_pids(control),
        fewest_running=sampler.fewest,
        in_background=load.in_background,
        books=read_books(stage, load.in_background),
        seconds=seconds,
    )


def _restart(stage: Stage, load: Load, bar: _Bar) -> int:
    """Restart the group through supervisorctl, showing its lines; return its exit status."""
    command = stage.supervisorctl("gearfleet", "restart", GROUP)
    assert command.stdout is not None
    try:
        for line in command.stdout:
            bar.say(line.rstrip())
            bar.show(load)
        return command.wait()
    finally:
        if command.poll() is None:
            command.send_signal(signal.SIGINT)  # it leaves nothing stopped
            command.wait()


def _client(stage: Stage) -> Client:
    from gearfleet.client import Client
    from gearfleet.config import Settings, split_list

    return Client(Settings(servers=split_list(stage.servers), signing_keys=(stage.signing_key,)))


def _pids(control: Supervisor) -> dict[str, int]:
    return {process.name: process.pid for process in control.processes(GROUP)}


def _wait(condition: Callable[[], bool], timeout: float) -> None:
    """Wait for `condition`, at most `timeout` seconds: what is missing then is in the score."""
    deadline = time.monotonic() + timeout
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.1)


class _Bar:
    """The progress bar of the demo: jobs done, of those submitted."""

    def __init__(self, output: Output, jobs: int) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

        self._jobs = jobs
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            console=output.console(output.stderr),
            transient=True,
        )
        self._task = self._progress.add_task("jobs done", total=jobs)

    def __enter__(self) -> _Bar:
        self._progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._progress.stop()

    def show(self, load: Load) -> int:
        """Bring the bar up to date and return how many jobs are done."""
        done = len(load.times_done())
        total = max(self._jobs, len(load.submitted))
        self._progress.update(self._task, completed=done, total=total, refresh=True)
        return done

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._progress.console.print(line)


def _report(score: Score, output: Output) -> None:
    if output.json:
        output.data({**asdict(score), "kept": score.kept, "good": score.is_good})
        return
    rows = [
        ("jobs submitted", str(score.submitted)),
        ("done", str(score.done)),
        ("lost", str(len(score.lost))),
        ("run twice", str(len(score.twice))),
        (f"fewest RUNNING in group {GROUP}", f"{score.fewest_running} of {len(score.pids_before)}"),
        ("results recorded", f"{score.books.recorded} of {score.in_background} background jobs"),
        *score.books.rows,
        ("seconds", f"{score.seconds:.1f}"),
        *(
            (name, f"pid {pid} -> {score.pids_after.get(name, 0)}")
            for name, pid in score.pids_before.items()
        ),
    ]
    output.table("", ("of the demo", "counted"), rows)
    for complaint in _complaints(score):
        output.talk(complaint)


def _complaints(score: Score) -> list[str]:
    """Return what went wrong, a sentence each."""
    texts = [f"Failed: {failure}" for failure in score.failures]
    texts += [f"Lost: {job}" for job in score.lost]
    texts += [f"Not restarted: {name}" for name in score.kept]
    if not score.is_recorded:
        missing = score.in_background - score.books.recorded
        texts.append(f"Not recorded: the results of {missing} background jobs")
    if score.books.account is None:
        texts.append(f"Failed: Django's task account is {score.books.status}")
    if score.restart_status:
        texts.append(f"supervisorctl gearfleet restart {GROUP} ended with {score.restart_status}")
    return texts


def _what_next(stage: Stage) -> str:
    supervisorctl = f"{stage.beside('supervisorctl')} -c {stage.config}"
    gearfleet = stage.beside("gearfleet")
    return f"""
Everything is left running in {stage.folder}. Try next:
  {supervisorctl} gearfleet status
  {supervisorctl} gearfleet restart foo
  {gearfleet} restart bar --max-unavailable 50% -c {stage.config}
When you are done:
  {supervisorctl} stop all
  {supervisorctl} shutdown{stage.farewell}
  rm -rf {stage.folder}"""
