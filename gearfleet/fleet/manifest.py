"""What gearfleet wrote into a directory, remembered beside it: so that an edit by hand shows.

    .gearfleet.json          of a fleet without a name
    .gearfleet.shop.json     of the fleet "shop"

It is written before the files with what they are and what they will be, and
after them with what they are: whatever ends us in between, no file of ours is
taken for an edited one.
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from gearfleet.errors import ConfigError
from gearfleet.fleet.checks.ini import read
from gearfleet.fleet.checks.known import RUNNABLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

MODE = 0o644
VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What was written last.

    Attributes:
        files: digests that a file may have, by its name.
        groups: that were in the files, also in earlier ones that supervisord may not
            have been brought to yet.
    """

    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    groups: tuple[str, ...] = ()

    @classmethod
    def of(cls, texts: Mapping[str, bytes], groups: Iterable[str]) -> Manifest:
        """Return the manifest of these files."""
        digests = {name: (digest(text),) for name, text in sorted(texts.items())}
        return cls(files=digests, groups=tuple(sorted(set(groups))))

    def or_(self, other: Manifest) -> Manifest:
        """Return the manifest of a directory in which each file is as in one of the two."""
        names = sorted({*self.files, *other.files})
        return Manifest(
            files={
                name: tuple(dict.fromkeys((*self.files.get(name, ()), *other.files.get(name, ()))))
                for name in names
            },
            groups=tuple(sorted({*self.groups, *other.groups})),
        )

    def is_edited(self, name: str, text: bytes) -> bool:
        """Tell whether a file is not what was written; of one never heard of nothing is known."""
        return bool(self.files) and digest(text) not in self.files.get(name, ())


def digest(text: bytes) -> str:
    """Return what tells one text from another."""
    return sha256(text).hexdigest()


def groups_in(texts: Iterable[str]) -> set[str]:
    """Return the groups that Supervisor makes of these files."""
    sections = [section for text in texts for section in read(text, "").sections]
    groups = [section for section in sections if section.kind == "group"]
    members = {name for group in groups for name in re.split(r"[\s,]+", group.value("programs"))}
    alone = {each.title for each in sections if each.kind in RUNNABLE} - members
    return {group.title for group in groups} | alone


def path_of(target: Path, mark: str) -> Path:
    """Return where the manifest of the fleet is whose files begin with `mark`."""
    name = re.search(r" for the fleet ([^\s]+)\. Do not edit", mark)
    return target / (f".gearfleet.{name[1]}.json" if name else ".gearfleet.json")


def load(path: Path) -> Manifest:
    """Return the manifest at `path`; an empty one where there is none.

    Raises:
        ConfigError: it is not one.
    """
    try:
        data = json.loads(path.read_bytes())
        return _manifest(data)
    except FileNotFoundError:
        return Manifest()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{path} is not as gearfleet wrote it ({error}). Remove it; the files beside it count "
            "as unedited then"
        ) from error


def _manifest(data: Mapping[str, Any]) -> Manifest:
    if data["version"] != VERSION:
        raise ValueError(f"its version is {data['version']}, and {VERSION} is known")
    files = {str(name): tuple(map(str, digests)) for name, digests in data["files"].items()}
    return Manifest(files=files, groups=tuple(map(str, data["groups"])))


def save(path: Path, manifest: Manifest) -> None:
    """Write a manifest, whole or not at all."""
    data = {"version": VERSION, "files": manifest.files, "groups": manifest.groups}
    draft = path.with_name(f"{path.name}.new")
    with draft.open("w", encoding="ascii") as file:
        json.dump(data, file, indent=1)
        os.fchmod(file.fileno(), MODE)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
