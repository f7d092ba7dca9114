"""Logs of a worker: where they go, how a line looks, and what the project itself says of it.

A worker logs to stderr, which supervisord keeps. A project with logging of its own
(Django's ``LOGGING``) keeps it: where it gives the root logger or ``gearfleet`` a
handler, lines go there and nowhere else. What the command line or the environment says
stands above: ``--logfile`` and ``--log-format`` take the place of handlers that write to
stderr or stdout, and leave the others, such as those that mail.
"""

from __future__ import annotations

import copy
import logging
import logging.handlers
import sys
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from gearfleet.errors import ConfigError
from gearfleet.logs import HumanFormatter, JobFilter, JsonFormatter, ZtaskFormatter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

logger = logging.getLogger(__name__)

OURS = "gearfleet"
FRAMES = "gearfleet.gearman"
#: A line of several processes in one file stays whole if it is written at once.
_LINE_BYTES = 2**18


class LogOptions(NamedTuple):
    """What the command line and the environment say of the log; empty is what they do not.

    Attributes:
        level: the name of the least level.
        file: to log to, instead of stderr.
        format: ``"human"``, ``"json"`` or ``"ztask"``.
        verbosity: with 1 also our own details, with 2 each frame.
        program: that the lines are of.
        logger: under whose name our lines are logged, where it is not our own.
        uses_stdout: whether lines go to stdout where they would go to stderr.
    """

    level: str = ""
    file: str = ""
    format: str = ""
    verbosity: int = 0
    program: str = ""
    logger: str = ""
    uses_stdout: bool = False

    @property
    def are_explicit(self) -> bool:
        """Whether our handler is asked for, whatever the project says."""
        return bool(self.file or self.format)


@contextmanager
def logging_as(options: LogOptions) -> Iterator[Callable[[str], None]]:
    """Log as `options` say; call what is yielded, with the release, when the project is loaded.

    It may have configured logging meanwhile. Where the log is not simply what stands on
    stderr, it also has what ends the worker: an operator who reads it sees why.
    """
    logs = Logs(options)
    logs.settle()
    try:
        yield logs.settle
    except Exception as error:
        if options.are_explicit:
            extra = {"action": "worker_failed", "exit_code": getattr(error, "exit_code", 1)}
            logger.critical("The worker ends: %s", error, exc_info=error, extra=extra)
        raise


class Logs:
    """The logs of this process."""

    def __init__(self, options: LogOptions) -> None:
        """Log as `options` say.

        Raises:
            ConfigError: the file cannot be opened.
        """
        self._options = options
        self._root = logging.getLogger()
        self._ours = logging.getLogger(OURS)
        self.handler = _handler(options)
        self.handler.addFilter(JobFilter())
        self.handler.setFormatter(_formatter(options))
        #: The loggers that the project may have given a handler for our lines.
        self._heard = [self._root, self._ours]
        if options.logger:
            self._heard.append(logging.getLogger(options.logger))

    def settle(self, release: str = "") -> None:
        """Log from now on, let the project's own logging have its way, and give it the job's fields.

        `release` is that of the project, where it is known.
        """
        if release and isinstance(self.handler.formatter, JsonFormatter):
            self.handler.formatter.constant["release"] = release
        theirs = [handler for logger in self._heard for handler in self._of_project(logger)]
        if self._options.are_explicit:
            self._take_the_place_of_consoles()
            logging.captureWarnings(True)
        if self._options.are_explicit or not theirs:
            self._root.addHandler(self.handler)  # once, however often it is called
        else:
            self._root.removeHandler(self.handler)
        self._set_levels(keep=bool(theirs))
        _revive()
        if self._options.logger:
            _log_as(self._ours, self._options.logger)
        for handler in _handlers():
            if not any(isinstance(each, JobFilter) for each in handler.filters):
                handler.addFilter(JobFilter())

    def _of_project(self, logger: logging.Logger) -> list[logging.Handler]:
        """Return the project's handlers for an operator's day; one that only mails errors is none."""
        return [
            handler
            for handler in logger.handlers
            if handler is not self.handler
            and handler.level <= logging.INFO
            and not isinstance(handler, logging.NullHandler | _Renamed)
        ]

    def _take_the_place_of_consoles(self) -> None:
        for logger in self._heard:
            for handler in list(logger.handlers):
                if handler is not self.handler and _is_console(handler):
                    logger.removeHandler(handler)

    def _set_levels(self, *, keep: bool) -> None:
        if self._options.level:
            self._root.setLevel(self._options.level)
            self._ours.setLevel(logging.NOTSET)
        elif not keep:
            self._root.setLevel(logging.INFO)
        if self._options.verbosity:
            self._ours.setLevel(logging.DEBUG)
        elif self._level_of_name and not self._options.level:
            self._ours.setLevel(self._level_of_name)
        elif self._ours.level == logging.NOTSET and not self._options.level:
            self._ours.setLevel(logging.INFO)
        self._set_level_of_frames()

    @property
    def _level_of_name(self) -> int:
        """The level that the project has given the logger as which ours appear; 0 for none."""
        return logging.getLogger(self._options.logger).level if self._options.logger else 0

    def _set_level_of_frames(self) -> None:
        """Log frames when they are asked for: with ``-vv``, or NOTSET, which is everything."""
        frames = logging.getLogger(FRAMES)
        is_everything = self._options.verbosity > 1 or self._options.level == "NOTSET"
        if not is_everything and frames.level == logging.NOTSET:
            frames.setLevel(max(logging.INFO, frames.getEffectiveLevel()))


class LogFile(logging.handlers.WatchedFileHandler):
    """A file that may be rotated or deleted at any time: the next line makes a new one.

    A line that cannot be written there, because the disk is full or the folder gone,
    goes to stderr, and the worker goes on.
    """

    def _open(self) -> Any:
        return open(  # noqa: PTH123 - as the handler's own does
            self.baseFilename,
            self.mode,
            buffering=_LINE_BYTES,
            encoding="utf-8",
            errors="backslashreplace",
        )

    def emit(self, record: logging.LogRecord) -> None:
        """Write the record; the standard handler would raise where it looks for the file."""
        try:
            super().emit(record)
        except Exception:
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Write the line to stderr."""
        with suppress(Exception):
            sys.stderr.write(f"{self.format(record)}\n")


class Console(logging.StreamHandler[Any]):
    """Standard error or output, which a task may have closed: then there is nobody to tell."""

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802
        """Lose the line."""


class _Renamed(logging.Handler):
    """Hands records to another logger, as if they were its own."""

    def __init__(self, name: str) -> None:
        """Hand them to the logger called `name`."""
        super().__init__()
        self._logger = logging.getLogger(name)

    def emit(self, record: logging.LogRecord) -> None:
        """Hand a copy over: others may still write the record."""
        renamed = copy.copy(record)
        renamed.name = self._logger.name
        self._logger.handle(renamed)


def _log_as(logger: logging.Logger, name: str) -> None:
    """Have what `logger` and those below it log appear as that of the logger called `name`."""
    logging.getLogger(name).disabled = False
    logger.propagate = False
    if not any(isinstance(handler, _Renamed) for handler in logger.handlers):
        logger.addHandler(_Renamed(name))


def _handler(options: LogOptions) -> logging.Handler:
    if not options.file:
        return Console(sys.stdout if options.uses_stdout else sys.stderr)
    try:
        return LogFile(options.file)
    except OSError as error:
        raise ConfigError(
            f"Log file '{options.file}' cannot be opened: {error.strerror}; "
            "give another with --logfile or GEARFLEET_LOGFILE"
        ) from error


def _formatter(options: LogOptions) -> logging.Formatter:
    if options.format == "json":
        return JsonFormatter({"program": options.program})
    return ZtaskFormatter() if options.format == "ztask" else HumanFormatter()


def _is_console(handler: logging.Handler) -> bool:
    return (
        isinstance(handler, logging.StreamHandler)
        and not isinstance(handler, logging.FileHandler)
        and handler.stream in (sys.stderr, sys.stdout)
    )


def _loggers() -> Iterator[logging.Logger]:
    yield logging.getLogger()
    for logger in list(logging.root.manager.loggerDict.values()):
        if isinstance(logger, logging.Logger):
            yield logger


def _handlers() -> set[logging.Handler]:
    return {handler for logger in _loggers() for handler in logger.handlers}


def _revive() -> None:
    """Undo what `disable_existing_loggers`, which is on unless a project says no, did to us.

    Nobody means it, and the worker would be silent. Who wants less sets a level.
    """
    for logger in _loggers():
        if logger.name.partition(".")[0] == OURS:
            logger.disabled = False
