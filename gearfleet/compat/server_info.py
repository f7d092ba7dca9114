"""`GearmanServerInfo` of django-gearman-jbox: what one job server says, as its tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gearfleet import config
from gearfleet.gearman import GearmanAdminClient

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gearfleet.gearman.addresses import AddressLike


class GearmanServerInfo:
    """What a job server says of itself, its tasks and its workers.

    Attributes:
        host: its address.
        server_version: as it says it, such as ``OK 1.1.20``.
        tasks: dicts of python-gearman's: task, queued, running, workers; sorted by task.
        workers: likewise: ip, tasks, client_id, file_descriptor; only those with tasks.
        ping_time: seconds that an echo took.
        ping_time_str: the same, as the table shows it.
    """

    def __init__(self, host: AddressLike | None = None, *, timeout: float = 5.0) -> None:
        """Ask the job server at `host`, by default the first of the settings, at once.

        Raises:
            GearmanError: it cannot be reached, or does not answer within `timeout` seconds.
        """
        self.host = host or config.current().servers[0]
        with GearmanAdminClient([self.host], poll_timeout=timeout) as admin:
            self.server_version = f"OK {admin.get_version()}"
            self.tasks = sorted(admin.get_status(), key=lambda row: str(row["task"]))
            self.workers = sorted(
                (row for row in admin.get_workers() if row["tasks"]),
                key=lambda row: tuple(row["tasks"]),
            )
            self.ping_time = admin.ping_server()
        self.ping_time_str = f"{self.ping_time:0.016f}"

    def get_server_info(self, task_filter: str | None = None) -> str:
        """Return three tables; only the tasks, and their workers, whose names hold `task_filter`."""
        tasks, workers = self.filtered(task_filter)
        return "".join(
            f"{each}.\n\n"
            for each in (
                table(_SERVER, [(self.host, self.server_version, self.ping_time_str)]),
                table(_TASK, [[row[key] for key in _TASK.values()] for row in tasks], left=True),
                table(_WORKER, [_worker(row) for row in workers]),
            )
        )

    def filtered(
        self, task_filter: str | None = None
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Return the tasks whose names hold `task_filter`, and the workers that serve one of them."""
        text = task_filter or ""
        tasks = [row for row in self.tasks if text in row["task"]]
        workers = [row for row in self.workers if any(text in name for name in row["tasks"])]
        return tasks, workers


#: The titles of the columns, and the keys of what they show.
_SERVER = {
    "Gearman Server Host": "host",
    "Gearman Server Version": "version",
    "Ping Response Time": "ping",
}
_TASK = {
    "Task Name": "task",
    "Total Workers": "workers",
    "Running Jobs": "running",
    "Queued Jobs": "queued",
}
_WORKER = {
    "Worker IP": "ip",
    "Registered Tasks": "tasks",
    "Client ID": "client_id",
    "File Descriptor": "file_descriptor",
}


def _worker(row: dict[str, Any]) -> list[str]:
    return [", ".join(row["tasks"]) if key == "tasks" else row[key] for key in _WORKER.values()]


def down(host: str) -> str:
    """Return the block that stands for a job server that does not answer."""
    text = f"Server '{host}' is Down ! "
    line = "#" * (len(text) + 4)
    return f"{line}\n# {text} #\n{line}\n\n"


def table(titles: Iterable[str], rows: Iterable[Sequence[Any]], *, left: bool = False) -> str:
    """Return a table as prettytable draws it, without the end of its last line.

    Everything stands in the middle, but the cells of the first column where that is `left`.
    """
    head, *body = [list(titles), *(list(map(_printable, row)) for row in rows)]
    widths = [max(map(len, column)) + 2 for column in zip(head, *body, strict=True)]
    if left:
        body = [[f" {first}".ljust(widths[0]), *others] for first, *others in body]
    rule = "+" + "+".join("-" * width for width in widths) + "+"
    lines = ["|" + "|".join(map(str.center, line, widths)) + "|" for line in (head, *body)]
    return "\n".join([rule, lines[0], rule, *lines[1:], *([rule] if body else [])])


def _printable(value: object) -> str:
    """Return a cell, without what a terminal would obey: functions are named by anybody."""
    return "".join(char if char.isprintable() else "?" for char in str(value))
