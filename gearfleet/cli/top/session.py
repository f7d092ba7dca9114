"""``gearfleet top`` at a terminal: one thread looks, the other draws and reads keys."""

from __future__ import annotations

import os
import select
import signal
import socket
import threading
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gearfleet.cli.top.keys import LOOK, QUIT, keys_of, press
from gearfleet.cli.top.layout import Screen, lines_of, rows_of
from gearfleet.cli.top.terminal import Terminal
from gearfleet.monitor.sample import take
from gearfleet.monitor.view import view_of
from gearfleet.worker.pool.ear import Ear

if TYPE_CHECKING:
    from typing import TextIO

    from gearfleet.monitor.sample import Places, Sample
    from gearfleet.monitor.view import View

_STOP = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})
_HEARD = (*_STOP, signal.SIGTSTP, signal.SIGWINCH)


def watch(places: Places, screen: Screen, keyboard: TextIO, stream: TextIO, *, color: bool) -> None:
    """Show what is at `places` until the user, or a signal, ends it."""
    terminal = Terminal(keyboard, stream, color=color)
    with Ear(_HEARD) as ear, Looker(places, screen.interval) as looker, terminal:
        Session(terminal, looker, screen, ear).run()


class Looker:
    """Takes samples in a thread of its own: to wait for a silent server holds up no key."""

    def __init__(self, places: Places, interval: float) -> None:
        """Look every `interval` seconds; `news` can be read when there is a sample."""
        self.view: View | None = None
        self.error: Exception | None = None
        self._places = places
        self._interval = interval
        self.news, self._voice = socket.socketpair()
        self._is_over = False
        self._wanted = threading.Event()
        # Nobody waits for it at the end: it may be waiting for a server.
        self._thread = threading.Thread(target=self._look, name="looker", daemon=True)

    def __enter__(self) -> Looker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self._wanted.set()
        self._voice.close()
        self.news.close()

    def look_now(self) -> None:
        """Take the next sample without waiting for its time."""
        self._wanted.set()

    def _look(self) -> None:
        before: Sample | None = None
        while not (self._is_over or self.error):
            self._wanted.clear()
            try:
                sample = take(self._places)
                self.view, before = view_of(sample, before), sample
            except Exception as error:  # it is raised where the terminal can be put right
                self.error = error
            with suppress(OSError):  # at the end nobody hears it
                self._voice.send(b"!")
            self._wanted.wait(self._interval)


class Session:
    """What happens between the first screen and the last."""

    def __init__(self, terminal: Terminal, looker: Looker, screen: Screen, ear: Ear) -> None:
        """Show what `looker` sees, and hear signals with `ear`."""
        self._terminal = terminal
        self._looker = looker
        self._screen = screen
        self._ear = ear

    def run(self) -> None:
        """Draw again and again, until `q`, a signal, or the end of the terminal."""
        with suppress(OSError):  # the terminal is gone
            self._draw()
            while self._wait():
                self._draw()
        if self._looker.error is not None:
            raise self._looker.error

    def _wait(self) -> bool:
        """Wait for a key, a signal or news; return False if there is no more to show."""
        news, keys = self._looker.news, self._terminal.keys
        heard: list[Any] = [keys, news, self._ear.socket]
        ready, _, _ = select.select(heard, [], [])
        if news in ready:
            news.recv(1024)
        if self._looker.error is not None or not self._hear():
            return False
        return keys not in ready or self._read()

    def _draw(self) -> None:
        width, height = self._terminal.size
        self._screen = replace(self._screen, width=width, height=height)
        self._terminal.draw(lines_of(self._looker.view, self._screen))

    def _hear(self) -> bool:
        """Do what the signals mean that have come; return False if that is to end."""
        heard = self._ear.heard()
        if _STOP.intersection(heard):
            return False
        if signal.SIGTSTP in heard:
            self._terminal.suspend()
        return True

    def _read(self) -> bool:
        typed = os.read(self._terminal.keys, 1024)
        return bool(typed) and all(map(self._press, keys_of(typed)))

    def _press(self, key: bytes) -> bool:
        """Do what a key means; return False if that is to quit."""
        view = self._looker.view
        done = press(key, self._screen, rows_of(view, self._screen) if view else 0)
        if done == QUIT:
            return False
        if done == LOOK:
            self._looker.look_now()
        elif isinstance(done, Screen):
            self._screen = done
        return True
