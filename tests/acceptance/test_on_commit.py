"""Jobs of what a transaction writes, in a Django project with a database."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from tests.originals.projects import make_project
from tests.support.processes import run

if TYPE_CHECKING:
    from pathlib import Path

TASKS = """\
from gearfleet import task

@task
def send_receipt(order: int, copy: bool = False): ...
"""

STORY = """\
import django
django.setup()
from django.db import transaction
from gearfleet.config import current
from gearfleet.contrib.django import delay_on_commit, submit_on_commit
from gearfleet.tasks import bind
from gearfleet.testing import Submitted
from myapp.gearman_workers.worker_foo import send_receipt

submitted = Submitted(current())
with bind(submitted):
    with transaction.atomic():
        delay_on_commit(send_receipt, 7, copy=True)
        assert not len(submitted)
    submitted.assert_once(send_receipt, 7, copy=True)
    try:
        with transaction.atomic():
            delay_on_commit(send_receipt, 8)
            raise LookupError
    except LookupError:
        pass
    assert len(submitted) == 1
    delay_on_commit(send_receipt, 9)
    assert len(submitted) == 2
    try:
        with transaction.atomic():
            delay_on_commit(send_receipt, object())
    except TypeError as error:
        assert "args[0]" in str(error)
    else:
        raise AssertionError("it was accepted")
    with transaction.atomic(using="other"):
        submit_on_commit(send_receipt.options(priority="high").call(10), using="other")
        assert len(submitted) == 2
    assert submitted[2].options.priority == "high"
print("told")
"""


def test_on_commit(tmp_path: Path) -> None:
    project = make_project(tmp_path, "127.0.0.1:1", {"worker_foo": TASKS})
    database = '{"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}'
    project.add_settings(f'DATABASES = {{"default": {database}, "other": {database}}}\n')
    done = run(
        [sys.executable, "-c", STORY],
        cwd=tmp_path,
        env={**project.environment, "DJANGO_SETTINGS_MODULE": "settings"},
    )
    assert done.stdout == "told\n", done.stderr
