"""Which release of the project runs, where nobody says it: the commit of its git work tree.

Git is not run: two small files say it at once, also where git is not installed,
or does not trust a work tree of another user.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

#: Characters of a commit: enough to tell it from any other one.
_SHOWN = 12


def commit_of(folder: Path) -> str:
    """Return the commit of the work tree that `folder` is in; empty where there is none."""
    try:
        git = _git_folder(folder.resolve())
        return _commit(git)[:_SHOWN] if git else ""
    except (OSError, UnicodeDecodeError):
        return ""


def _git_folder(folder: Path) -> Path | None:
    for each in (folder, *folder.parents):
        found = each / ".git"
        if found.is_dir():
            return found
        if found.is_file():  # of a submodule, or of a work tree that git has added
            return each / found.read_text().removeprefix("gitdir:").strip()
    return None


def _commit(git: Path) -> str:
    head = (git / "HEAD").read_text().strip()
    if not head.startswith("ref:"):
        return _checked(head)
    ref = head.removeprefix("ref:").strip()
    common = git / "commondir"
    home = git / common.read_text().strip() if common.is_file() else git
    for loose in (git / ref, home / ref):
        if loose.is_file():
            return _checked(loose.read_text().strip())
    packed = home / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    commits = (line.split(" ")[0] for line in lines if line.endswith(f" {ref}"))
    return _checked(next(commits, ""))


def _checked(commit: str) -> str:
    return commit if re.fullmatch(r"[0-9a-f]{40,64}", commit) else ""
