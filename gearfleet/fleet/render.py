"""The fleet becomes text, the same for the same fleet; nothing is written here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gearfleet.fleet.lines import program_lines

if TYPE_CHECKING:
    from pathlib import Path

    from gearfleet.fleet.model import Fleet, Group, Program

#: How the first line of every file begins that gearfleet wrote.
MARKER = "; Written by gearfleet"


def render(fleet: Fleet, *, template_dir: Path | None = None) -> dict[str, str]:
    """Return the text of each file: one for each program, and one for the groups.

    The version of gearfleet is not in it, so that an upgrade alone changes nothing.

    Args:
        fleet: to be rendered.
        template_dir: templates here are used before the built-in ones.

    Raises:
        UnrepresentableValue: Supervisor cannot express a value of a setting.
        TemplateError: a template fails, with file and line.
    """
    parts = _Parts(fleet, template_dir)
    texts = {f"{program.name}.conf": [parts.program(program)] for program in fleet.programs}
    texts[f"{fleet.prefix}groups.conf"] = [parts.group(group) for group in fleet.groups]
    return {name: parts.join(sections) for name, sections in texts.items()}


def render_one(fleet: Fleet, *, template_dir: Path | None = None) -> str:
    """Return the whole fleet as the text of one file; see `render`."""
    parts = _Parts(fleet, template_dir)
    programs = [parts.program(program) for program in fleet.programs]
    return parts.join([*programs, *(parts.group(group) for group in fleet.groups)])


def marker(fleet_name: str) -> str:
    """Return the first line of each file of a fleet, without the line's end.

    `install` knows its files by it: other words would disown those on every host.
    """
    whose = f" for the fleet {fleet_name}" if fleet_name else ""
    return f"{MARKER}{whose}. Do not edit: change the settings and render again."


def refusal_line(error: BaseException) -> str:
    """Return the line to print instead of a configuration that could not be made.

    Supervisor refuses any file with a line that begins with ``=``, alone and
    after other sections: a shell's ``>`` has emptied the file, and an empty
    one would be accepted and remove the fleet.
    """
    said = str(error) or type(error).__name__  # KeyboardInterrupt says nothing
    reason = " ".join(said.split()).encode("utf-8", "backslashreplace").decode("utf-8")
    shown = "".join(character if character.isprintable() else "?" for character in reason)
    return f"= gearfleet could not render the fleet, this file is void on purpose: {shown}"


class _Parts:
    """The sections of one fleet's files, each from its template."""

    def __init__(self, fleet: Fleet, template_dir: Path | None) -> None:
        from gearfleet.fleet import templates

        self._fleet = fleet
        self._templates = templates
        self._environment = templates.environment(template_dir)
        self._header = f"{marker(fleet.name)}\n{self._draw('header.conf.j2')}"

    def _draw(self, template: str, **values: Any) -> str:
        values["fleet"] = self._fleet
        text: str = self._templates.render_template(self._environment, template, values)
        return text if text.endswith("\n") else text + "\n"

    def program(self, program: Program) -> str:
        ready = self._templates.ready
        lines = [(ready(name), ready(text)) for name, text in program_lines(program)]
        return self._draw("program.conf.j2", program=program, lines=lines)

    def group(self, group: Group) -> str:
        return self._draw("group.conf.j2", group=group)

    def join(self, sections: list[str]) -> str:
        return "\n".join([self._header, *sections])
