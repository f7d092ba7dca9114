"""Read the project's pages: their fenced blocks, links and commands."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.support.processes import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_BLOCK = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its language and what stands in it."""

    language: str
    text: str


def pages() -> list[Path]:
    """Return every page that users and contributors read."""
    folders = (ROOT.glob("*.md"), (ROOT / "docs").rglob("*.md"), (ROOT / "examples").rglob("*.md"))
    return sorted(page for pages in folders for page in pages)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def blocks(page: Path, *languages: str) -> list[Block]:
    """Return the fenced blocks of a page in `languages`, in order."""
    found = (Block(language, _unindented(text, indent)) for indent, language, text in _blocks(page))
    return [block for block in found if block.language in languages]


def _blocks(page: Path) -> list[tuple[str, str, str]]:
    return [(match[1], match[2], match[3]) for match in _BLOCK.finditer(read(page))]


def _unindented(text: str, indent: str) -> str:
    return "".join(line.removeprefix(indent) for line in text.splitlines(keepends=True))


def links(page: Path) -> list[str]:
    """Return the targets of a page's links, without those in code."""
    return _LINK.findall(re.sub(r"`[^`\n]*`", "", _BLOCK.sub("", read(page))))


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings make."""
    headings = re.findall(r"^#+ (.+)$", _BLOCK.sub("", read(page)), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def commands(page: Path, program: str) -> Iterator[str]:
    """Yield each command line of `program` that a page shows at a prompt or in a script."""
    start = re.compile(rf"^(?:[$#] )?(?:python manage\.py )?({re.escape(program)} .*)$")
    for block in blocks(page, "console", "sh"):
        for line in block.text.splitlines():
            if match := start.match(line):
                yield match[1]
