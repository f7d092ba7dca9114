"""Whether supervisorctl knows the command ``gearfleet``: it is asked for that command's help."""

from __future__ import annotations

import os
import shutil
import subprocess
from configparser import Error, RawConfigParser
from typing import TYPE_CHECKING

from gearfleet.monitor.truths import Plugin
from gearfleet.supervisor.paste import SECTION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def ask_plugin(main: Path, supervisord: Sequence[str], *, timeout: float) -> Plugin:
    """Return what supervisorctl makes of the plugin's section in `main`.

    Args:
        main: the main supervisord.conf.
        supervisord: the command line that started the daemon; its supervisorctl is asked.
        timeout: seconds that it may take.
    """
    if not _has_section(main):
        return Plugin(is_there=False)
    command = [*supervisorctl_of(supervisord), "-c", str(main), "help", "gearfleet"]
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "PYTHONWARNINGS": "ignore"},
        )
    except subprocess.TimeoutExpired:
        return Plugin(silence=f"it did not answer within {timeout:g} s")
    except OSError as error:
        return Plugin(silence=f"{command[0]}: {error.strerror}")
    if "gearfleet restart" in done.stdout:
        return Plugin()
    return Plugin(problem=_last_line(done.stdout + done.stderr) or f"exit status {done.returncode}")


def supervisorctl_of(supervisord: Sequence[str]) -> list[str]:
    """Return what starts the supervisorctl that belongs to a running supervisord.

    Example:
        >>> supervisorctl_of(["/usr/bin/python3", "/usr/bin/supervisord", "-n"])
        ['/usr/bin/python3', '-m', 'supervisor.supervisorctl']
    """
    if supervisord and os.path.basename(supervisord[0]).startswith("python"):  # noqa: PTH119
        return [supervisord[0], "-m", "supervisor.supervisorctl"]
    return [shutil.which("supervisorctl") or "supervisorctl"]


def _has_section(main: Path) -> bool:
    parser = RawConfigParser(strict=False, inline_comment_prefixes=(";", "#"))
    try:
        parser.read(main, encoding="utf-8")
    except (Error, UnicodeDecodeError):
        return False
    return parser.has_section(SECTION)


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    told = [line for line in lines if line.startswith(("Error", "error", "***"))]
    return next(iter(told or lines[-1:]), "")
