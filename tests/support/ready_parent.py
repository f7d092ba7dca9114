"""The process behind `tests.support.ready`: it has imported everything, and forks for each order.

Run as a script, with the descriptor of the socket that orders arrive at, and whether Django is
wanted. An order comes with three or four descriptors: where to tell how it went, standard output,
standard error, and standard input if there is any. Single-threaded, so that a fork is safe.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import gc
import importlib
import json
import os
import runpy
import selectors
import socket
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

ROOT = Path(__file__).resolve().parents[2]
#: Enough for the environment and the words of an order.
LARGEST = 1 << 18

#: What gearfleet imports in the functions that need it.
LAZY = (
    *("asyncio", "csv", "importlib.metadata", "jinja2.tests", "pickle", "psutil", "sqlite3", "ssl"),
    *("supervisor.http_client", "supervisor.options", "supervisor.xmlrpc", "zoneinfo"),
    *("rich.align", "rich.console", "rich.markup", "rich.table", "rich.text", "rich.theme"),
)

#: What every management command imports; none of it needs settings.
DJANGO = (
    *("django.contrib.admin.options", "django.contrib.messages.api", "django.core.cache"),
    *("django.core.checks.registry", "django.core.handlers.base", "django.core.management.base"),
    *("django.core.management.commands.check", "django.core.management.commands.migrate"),
    *("django.core.serializers.json", "django.db.backends.sqlite3.base", "django.db.migrations"),
    *("django.db.models", "django.forms", "django.template.backends.django", "django.test.signals"),
    *("django.urls", "django.utils.translation.trans_real", "django.views.debug", "cronsim"),
)

#: Rooms that need Django, pytest or a user, and what acts when it is imported.
APART = (
    *("gearfleet.__main__", "gearfleet.cli.demo", "gearfleet.compat", "gearfleet.contrib"),
    *("gearfleet.supervisor.ctlplugin", "gearfleet.supervisor.reconcile"),
    *("gearfleet.templates", "gearfleet.testing"),
)


def prepare(*, django: bool) -> None:
    """Import what commands import, and leave it out of the rounds of the garbage collector."""
    files = sorted((ROOT / "gearfleet").rglob("*.py"))
    ours = (".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files)
    rooms = (name.removesuffix(".__init__") for name in ours if not name.startswith(APART))
    for name in (*rooms, *LAZY, *(DJANGO if django else ())):
        with contextlib.suppress(ImportError):  # said to who needs it
            importlib.import_module(name)
    gc.collect()
    gc.freeze()


def next_order(door: socket.socket) -> dict[str, Any] | None:
    """Fork for each order: return it in the forked process, and None when there are no more."""
    with selectors.DefaultSelector() as selector:
        selector.register(door, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is not door:
                    key.data(selector, key)
                    continue
                data, descriptors, _, _ = socket.recv_fds(door, LARGEST, 4)
                if not data:
                    return None
                if not (pid := os.fork()):
                    selector.close()
                    door.detach()
                    _take(descriptors[1:])
                    order: dict[str, Any] = json.loads(data)
                    return order
                answer = descriptors.pop(0)
                _tell(answer, pid)
                for descriptor in descriptors:
                    os.close(descriptor)
                ended = functools.partial(_tell_the_end, pid, answer)
                selector.register(os.pidfd_open(pid), selectors.EVENT_READ, ended)


def _tell(answer: int, number: int) -> None:
    with contextlib.suppress(BrokenPipeError):  # nobody waits for it any more
        os.write(answer, b"%d\n" % number)


def _tell_the_end(
    pid: int, answer: int, selector: selectors.BaseSelector, key: selectors.SelectorKey
) -> None:
    """Tell how a process has ended; as with any child, no other has its pid until that was asked."""
    end = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert end is not None
    _tell(answer, end.si_status if end.si_code == os.CLD_EXITED else -end.si_status)
    selector.unregister(key.fileobj)
    os.close(key.fd)
    selector.register(answer, selectors.EVENT_READ, functools.partial(_reap, pid))


def _reap(pid: int, selector: selectors.BaseSelector, key: selectors.SelectorKey) -> None:
    """Forget a process that nobody will ask for again: they have closed their end."""
    os.waitpid(pid, 0)
    selector.unregister(key.fileobj)
    os.close(key.fd)


def _take(streams: list[int]) -> None:
    """Have these standard streams, and no other open file."""
    for number, stream in zip((1, 2, 0), streams, strict=False):
        os.dup2(stream, number, inheritable=True)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))


def carry_out(order: dict[str, Any]) -> None:
    """Become what `order` says, as if Python had been started for it."""
    if order["new_session"]:
        os.setsid()
    os.chdir(order["cwd"])
    os.environ.clear()
    os.environ.update(order["env"])
    sys.path_importer_cache.clear()
    words: list[str] = order["words"]
    sys.orig_argv = [sys.executable, *words]
    if words[0] == "-m":
        sys.argv, sys.path[0] = words[1:], order["cwd"]
        runpy.run_module(words[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv, sys.path[0] = words, str(Path(words[0]).parent)
        runpy.run_path(words[0], run_name="__main__")


def leave(code: int) -> NoReturn:
    """End as the interpreter does, but for clearing up all modules: each is shared until then."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Wait for orders; in a process that has one, carry it out."""
    _, door, django = sys.argv
    prepare(django=django == "django")
    order = next_order(socket.socket(fileno=int(door)))
    if order is None:
        return
    try:
        carry_out(order)
    except SystemExit as end:
        if not isinstance(end.code, int | None):
            raise
        leave(end.code or 0)
    leave(0)


if __name__ == "__main__":
    main()
