"""Debian's Supervisor, 4.2.5, in the system Python: it reads what 4.3.0 reads here."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.processes import clean_environment

SYSTEM_PYTHON = "/usr/bin/python3"
READ_BACK = Path(__file__).with_name("read_back.py")


def require_system_supervisor() -> None:
    """Skip the test where the system Python has no Supervisor; fail it in CI."""
    probe = subprocess.run(
        [SYSTEM_PYTHON, "-W", "ignore", "-c", "import supervisor"],
        capture_output=True,
        check=False,
        env=clean_environment(PYTHONPATH=""),
    )
    if probe.returncode:
        reason = "needs Debian's supervisor: apt-get install supervisor"
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)


class OldReader:
    """A process of the system Python that reads configurations, one after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [SYSTEM_PYTHON, "-W", "ignore", str(READ_BACK), "--serve"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env=clean_environment(PYTHONPATH=""),
        )

    def read_back(self, *texts: str) -> dict[str, list[dict[str, Any]]]:
        """Return what `tests.support.read_back.read_back` does, of Supervisor 4.2.5."""
        question, answer = self._process.stdin, self._process.stdout
        assert question is not None
        assert answer is not None
        question.write(json.dumps(texts) + "\n")
        question.flush()
        read: dict[str, list[dict[str, Any]]] = json.loads(answer.readline())
        return read

    def close(self) -> None:
        """End the process."""
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
