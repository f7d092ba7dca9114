"""Rules over what Supervisor's own parser makes of a configuration.

The parser gets all files as one text, without ``[include]`` (the files are
there already: as included ones they would take it a time that grows with
their number squared) and without ``[rpcinterface]``, whose code need not be
importable here. It opens, writes and starts nothing.
"""

from __future__ import annotations

import io
import os
import re
import shlex
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gearfleet.config import DEFAULTS
from gearfleet.fleet.checks.known import RUNNABLE
from gearfleet.fleet.findings import Finding, finding

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gearfleet.fleet.checks.host import Host
    from gearfleet.fleet.checks.ini import ConfigFile, Section
    from gearfleet.fleet.checks.texts import Configuration

_LEFT_OUT = frozenset({"include", "rpcinterface", "ctlplugin"})

#: supervisord's own descriptors: sockets, log, connections of clients.
_OWN_DESCRIPTORS = 100

#: What a worker of a command line without options may take to stop.
_LADDER = ("drain_timeout", "interrupt_grace", "hook_timeout")


@dataclass(frozen=True, slots=True)
class Process:
    """One process as Supervisor would run it, and the section that asks for it."""

    group: str
    config: Any
    section: Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What the parser returned.

    Attributes:
        processes: that would run.
        minfds: descriptors that supervisord sees to.
        warnings: the parser's own.
        refusal: why it refuses the configuration; then all else is empty.
    """

    processes: tuple[Process, ...] = ()
    minfds: int = 1024
    warnings: tuple[str, ...] = ()
    refusal: str = ""


def parse(configuration: Configuration) -> Parsed:
    """Return what Supervisor's parser makes of `configuration`, which has a main file or none."""
    from supervisor.options import ServerOptions

    homes: dict[int, str] = {}

    class Options(ServerOptions):  # type: ignore[misc]
        def processes_from_section(self, parser: Any, section: str, *rest: Any) -> Any:
            made = super().processes_from_section(parser, section, *rest)
            homes.update((id(config), section) for config in made)
            return made

    options = Options()
    main = configuration.files[0].file if configuration.has_main else "."
    options.configfile, options.here = main, os.path.dirname(os.path.abspath(main))  # noqa: PTH100, PTH120
    try:
        root = options.read_config(io.StringIO(as_one(configuration)))
    except Exception as error:  # ValueError mostly; odd text also raises configparser's own
        return Parsed(refusal=" ".join(str(error).split()))
    sections = {section.name: section for section in configuration.sections}
    return Parsed(
        processes=tuple(
            Process(group.name, config, sections[homes[id(config)]])
            for group in root.process_group_configs
            for config in group.process_configs
        ),
        minfds=root.minfds,
        warnings=tuple(options.parse_warnings),
    )


def as_one(configuration: Configuration) -> str:
    """Return all files as the one text that means the same."""
    head = [] if configuration.has_main else ["[supervisord]"]
    return "\n".join([*head, *(_text(file) for file in configuration.files)]) + "\n"


def _text(file: ConfigFile) -> str:
    """Return the text of a file as it counts when it is read with others."""
    lines = file.text.split("\n")
    starts = [section.line - 1 for section in file.sections]
    spans = zip(file.sections, starts, [*starts[1:], len(lines)], strict=True)
    kept = [
        line
        for section, start, end in spans
        if section.kind not in _LEFT_OUT
        for line in lines[start:end]
    ]
    # An included file's %(here)s is its own directory (Supervisor's `expand_here`).
    here = os.path.dirname(os.path.abspath(file.file))  # noqa: PTH100, PTH120
    return "\n".join(kept).replace("%(here)s", here.replace("%", "%%"))


def review_parsed(
    configuration: Configuration, parsed: Parsed, host: Host, *, is_explained: bool
) -> Iterator[Finding]:
    """Yield what is wrong with the processes; `is_explained`: why they are refused is known."""
    if parsed.refusal and not is_explained:
        message = f"Supervisor refuses the configuration: {parsed.refusal}"
        yield finding("GF201", message, place=_places(configuration, [parsed.refusal])[0])
    places = _places(configuration, parsed.warnings)
    for warning, place in zip(parsed.warnings, places, strict=True):
        yield finding("GF218", f"Supervisor warns: {warning}", place=place)
    yield from _names(parsed.processes)
    yield from _logs(parsed.processes)
    yield from _descriptors(configuration, parsed)
    for process in _one_of_each(parsed.processes):
        yield from _command(process, host)


def _places(configuration: Configuration, texts: Sequence[str]) -> list[tuple[str, int]]:
    """Return where the section stands that each text names; else where the main file is."""
    sections = {section.name: section for section in configuration.sections} if texts else {}
    main = (configuration.files[0].file, 0) if configuration.has_main else ("", 0)
    named = (re.findall(r"[\w-]+:[^\s'\"\].]+|supervisord(?=\.)", text) for text in texts)
    return [
        next((sections[name].place for name in names if name in sections), main) for names in named
    ]


def _names(processes: Sequence[Process]) -> Iterator[Finding]:
    counts = Counter((process.group, process.config.name) for process in processes)
    last = {(process.group, process.config.name): process for process in processes}
    for (group, name), count in counts.items():
        if count > 1:
            yield finding(
                "GF208",
                f"{count} processes of group '{group}' are called '{name}': Supervisor runs only "
                "one of them",
                place=last[group, name].section.at("process_name"),
            )


def _logs(processes: Sequence[Process]) -> Iterator[Finding]:
    writers: dict[str, list[Process]] = defaultdict(list)
    for process in processes:
        for stream in ("stdout", "stderr"):
            file = getattr(process.config, f"{stream}_logfile")
            is_file = isinstance(file, str) and not file.startswith("/dev/")
            if is_file and getattr(process.config, f"{stream}_logfile_maxbytes"):
                writers[file].append(process)
    for file, several in writers.items():
        if len(several) > 1:
            yield finding(
                "GF219",
                f"{len(several)} processes write and rotate {file}",
                place=several[-1].section.at("stdout_logfile"),
            )


def _descriptors(configuration: Configuration, parsed: Parsed) -> Iterator[Finding]:
    needed = descriptors_of(parsed.processes)
    section = configuration.find("supervisord")
    if section is not None and needed > parsed.minfds:
        yield finding(
            "GF215",
            f"minfds is {parsed.minfds}, but {len(parsed.processes)} processes need {needed} "
            "descriptors",
            f"Set minfds={needed} in [supervisord], and restart supervisord",
            place=section.at("minfds"),
        )


def descriptors_of(processes: Sequence[Process]) -> int:
    """Return how many descriptors supervisord needs for `processes`."""
    each = (2 if process.config.redirect_stderr else 3 for process in processes)
    return sum(each) + _OWN_DESCRIPTORS


def _one_of_each(processes: Sequence[Process]) -> Iterator[Process]:
    """Yield a process for each different command and directory of a section."""
    seen = set()
    for process in processes:
        key = (process.section.name, process.config.command, process.config.directory)
        if key not in seen:
            seen.add(key)
            yield process


def _command(process: Process, host: Host) -> Iterator[Finding]:
    config, section = process.config, process.section
    if config.directory and not host.is_directory(config.directory):
        yield finding(
            "GF302",
            f"'directory' of [{section.name}] is '{config.directory}', which is no directory here",
            place=section.at("directory"),
        )
    try:
        words = shlex.split(config.command)
    except ValueError as error:
        message = f"'command' of [{section.name}] cannot be split into words: {error}"
        yield finding("GF210", message, place=section.at("command"))
        return
    if not words:
        message = f"'command' of [{section.name}] is empty"
        yield finding("GF210", message, place=section.at("command"))
        return
    if problem := host.program_problem(words[0]):
        message = f"'command' of [{section.name}] runs '{words[0]}', which {problem}"
        yield finding("GF301", message, place=section.at("command"))
    yield from _kill_budget(process, words)


def _kill_budget(process: Process, words: list[str]) -> Iterator[Finding]:
    budget = _budget(words)
    seconds = process.config.stopwaitsecs
    if budget is not None and seconds < budget:
        section = process.section
        yield finding(
            "GF101",
            f"stopwaitsecs of [{section.name}] is {seconds}, but its worker may need {budget:g} s "
            "to stop: Supervisor would kill it in its job",
            f"Set stopwaitsecs={budget + 5:g} there",
            place=section.at("stopwaitsecs"),
        )


def _budget(words: list[str]) -> float | None:
    """Return how long the worker of a command may take to stop; None for other programs."""
    is_ours = any(word.rpartition("/")[2] == "gearfleet" for word in words) and "worker" in words
    if not (is_ours or "gearman_worker" in words):
        return None
    given = " ".join(words).replace("=", " ").split()
    steps = [_seconds(given, f"--{step.replace('_', '-')}", DEFAULTS[step]) for step in _LADDER]
    if "immediate" in given:
        steps[0] = 0.0
    return sum(steps) + (5 if {"-w", "--processes"} & set(given) else 0)


def _seconds(words: list[str], flag: str, default: Any) -> float:
    try:
        return float(words[words.index(flag) + 1])
    except (ValueError, IndexError):
        return float(default)


def runnable(configuration: Configuration) -> Iterator[Section]:
    """Yield the sections that make processes, the last of each name."""
    last = {section.name: section for section in configuration.sections}
    yield from (section for section in last.values() if section.kind in RUNNABLE)
