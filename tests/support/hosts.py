"""A host that has what a test says, for rules that ask one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FakeHost:
    """Has these users, directories, files and programs, and no others."""

    users: tuple[str, ...] = ("shop",)
    directories: tuple[str, ...] = ("/dev", "/srv", "/tmp", "/var/log")
    files: tuple[str, ...] = ()
    programs: tuple[str, ...] = ("/bin/run", "run", "/bin/gearfleet")

    def has_user(self, name: str) -> bool:
        return name in self.users

    def is_directory(self, path: str) -> bool:
        return path in self.directories

    def is_file(self, path: str) -> bool:
        return path in self.files

    def program_problem(self, word: str) -> str:
        return "" if word in self.programs else "does not exist"
