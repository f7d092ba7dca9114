"""The matrix: every supported Python with every supported Django, for what depends on Django.

    .venv/bin/nox                    all legs; `nox -R` runs them again without installing anew
    .venv/bin/nox -t short           what CI has not run by then, see SHORT
    .venv/bin/nox -s 'django-6.1-py3.13' -- -k commit

A leg is skipped, and said to be, where this machine has no such Python, or the Django needs a
newer one. On a quiet machine with two CPUs a leg takes less than a minute.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import nox

nox.needs_version = ">=2024.3.2"
nox.options.default_venv_backend = "venv"

PYTHONS = ("3.11", "3.12", "3.13")

#: What each Django needs: the oldest Python, and what brings its tasks framework.
DJANGOS = {"5.2": ("3.11", "tasks"), "6.0": ("3.12", "django"), "6.1": ("3.12", "django")}

#: `make test` on Python 3.11 has Django 5.2, and `.ci/matrix` on newer ones the newest Django.
SHORT = {("3.12", "6.0")}

TESTS = (
    "tests/unit/test_contrib_django.py",
    "tests/integration/test_contrib_django.py",
    "tests/integration/test_django_tasks.py",
    "tests/acceptance/test_django_tasks.py",
    "tests/acceptance/test_admin.py",
)


def find_python(version: str) -> str | None:
    """Return a Python of this version that runs: a shim of pyenv may stand for none."""
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    found = (str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python")))
    return next(filter(_runs, (shutil.which(f"python{version}"), *found)), None)


def _runs(python: str | None) -> bool:
    if python is None:
        return False
    told = subprocess.run([python, "-c", "import venv"], check=False, capture_output=True)
    return told.returncode == 0


def _add_leg(version: str, django: str) -> None:
    python = find_python(version)
    oldest, extra = DJANGOS[django]
    is_too_old = version.split(".") < oldest.split(".")

    @nox.session(
        name=f"django-{django}-py{version}",
        python=False if is_too_old or python is None else python,
        tags=["short"] if (version, django) in SHORT else [],
    )
    def leg(session: nox.Session) -> None:
        """Run the tests of Django."""
        if is_too_old:
            session.skip(f"Django {django} needs Python {oldest}")
        if python is None:
            session.skip(f"Python {version} is not on this machine")
        session.install("--quiet", "--editable", f".[{extra}]", f"Django=={django}.*")
        session.install("--quiet", "pytest", "pytest-xdist")
        session.run("pytest", "-q", "-n", "4", *TESTS, *session.posargs)


for _version in PYTHONS:
    for _django in DJANGOS:
        _add_leg(_version, _django)
