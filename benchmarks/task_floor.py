"""The floor of tasks: the least Python that runs what a signed JSON envelope asks for.

As `floor.py` for plain jobs, from which it has the connection. A payload is signed and
written when it is submitted; a worker verifies and reads it, calls the task and writes what
it returns. There are no time limits, stops, boards, hooks, results or retries. What this
reaches of libgearman, which reads no payload, is what Python does that nobody has tuned;
gearfleet's distance to it is gearfleet's.

    python benchmarks/task_floor.py MODE PORT FUNCTION COUNT
"""

from __future__ import annotations

import hmac
import json
import os
import sys
import tempfile
import time
from typing import TYPE_CHECKING

import floor
from clock import report
from ticks import FOLDER, tick

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY = b"a key of the benchmarks, 32 bytes"
_SIGNATURE = slice(0, 64)
_BODY = slice(65, None)


def payloads(count: int) -> Iterator[bytes]:
    """Return so many calls with one int, as long as gearfleet's."""
    for number in range(count):
        meta = {"id": f"{number:032x}", "enqueued_at": time.time()}
        call = {"v": 1, "args": [number], "kwargs": {}, "meta": meta}
        body = json.dumps(call, separators=(",", ":")).encode()
        yield b"%s\n%s" % (_sign(body), body)


def bulk(raw: floor.Raw, function: bytes, count: int) -> None:
    """Submit tasks in batches: send all, then read what was accepted."""
    began = time.perf_counter()
    floor.submit(raw, function, payloads(count), floor.BATCH)
    report(count, time.perf_counter() - began)


def fill(raw: floor.Raw, function: bytes, count: int) -> None:
    """Fill a queue; not timed."""
    floor.submit(raw, function, payloads(count), floor.FILL_BATCH)
    report(count, 0.0)


def drain(raw: floor.Raw, function: bytes, count: int, grabs: int = 1) -> None:
    """Run the tasks of a full queue: from the first in hand to the last that the server processed."""
    with tempfile.TemporaryDirectory() as counted:
        os.environ[FOLDER] = counted
        floor.work(raw, function, count, _run, grabs)


def drain16(raw: floor.Raw, function: bytes, count: int) -> None:
    """The same with 16 jobs asked for at a time."""
    drain(raw, function, count, grabs=16)


def _run(job: bytes) -> bytes:
    handle, _, _, data = job.split(b"\0", 3)
    body = data[_BODY]
    if not hmac.compare_digest(_sign(body), data[_SIGNATURE]):
        sys.exit("a payload with a wrong signature")
    call = json.loads(body)
    result = {"v": 1, "result": tick(*call["args"], **call["kwargs"])}
    return floor.packet(
        floor.WORK_COMPLETE, handle, json.dumps(result, separators=(",", ":")).encode()
    )


def _sign(body: bytes) -> bytes:
    return hmac.digest(KEY, body, "sha256").hex().encode()


MODES = {mode.__name__: mode for mode in (bulk, fill, drain, drain16)}

if __name__ == "__main__":
    mode, port, name, count = sys.argv[1:]
    MODES[mode](floor.Raw(int(port)), name.encode(), int(count))
