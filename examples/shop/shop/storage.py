"""Where the shop keeps its files, and the ledger in which every finished piece of work stands."""

import os
from pathlib import Path

from django.conf import settings


def place(folder: str, name: str) -> Path:
    """Return the path of the file `name` in `folder`, which is made when it is missing."""
    path = Path(settings.SHOP_DATA, folder, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def save(path: Path, content: bytes) -> None:
    """Write `content` so that a reader sees the old file or the new one, never a half.

    A task may run twice: its job is given to another worker when the first one
    dies. Writing by rename makes the second run harmless.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)


def note(entry: str) -> None:
    """Append one line to the ledger; O_APPEND keeps the lines of many workers whole."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    ledger = os.open(place(".", "ledger.txt"), flags, 0o644)
    try:
        os.write(ledger, f"{entry}\n".encode())
    finally:
        os.close(ledger)


def ledger() -> list[str]:
    """Return the lines of the ledger."""
    path = place(".", "ledger.txt")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []
