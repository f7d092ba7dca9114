"""The distributions, built once for all test processes, and environments to install them in."""

from __future__ import annotations

import fcntl
import shutil
import sys
import sysconfig
import venv
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.processes import ROOT, clean_environment, run

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

#: What git would not have, or what no distribution needs.
_NOT_COPIED = shutil.ignore_patterns(
    *(".git", ".venv*", ".nox", ".cache", "build", "dist", "*.egg-info", ".*_cache"),
    *(".hypothesis", "__pycache__"),
)
#: What a used checkout has and a distribution must not.
JUNK = (
    "build/lib/gearfleet/stale.py",
    "build/lib/gearfleet/templates/stale.conf.j2",
    "examples/plain/__pycache__/stale.cpython-311.pyc",
    "examples/shop/data/stale/order.png",
    "examples/shop/data/shop.sqlite3",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Distributions:
    """A copy of the checkout and what was built from it."""

    checkout: Path
    wheel: Path
    sdist: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An environment in which gearfleet is, and a directory that is not the checkout."""

    kind: str
    bin: Path
    cwd: Path
    checkout: Path

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the environment, such as ``python``."""
        path = {"PYTHONPATH": str(self.checkout) if self.kind == "checkout" else ""}
        return run(
            [self.bin / command[0], *command[1:]], cwd=self.cwd, env=clean_environment(**path)
        )

    def gearfleet(self, *args: str) -> subprocess.CompletedProcess[str]:
        script = ["python", "-m", "gearfleet"] if self.kind == "checkout" else ["gearfleet"]
        return self.run(*script, *args)


@pytest.fixture(scope="session")
def distributions(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Distributions:
    """The sdist, and the wheel that is built from the sdist."""
    base = tmp_path_factory.getbasetemp()
    shared = (base if worker_id == "master" else base.parent) / "distributions"
    shared.mkdir(exist_ok=True)
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (shared / "dist").exists():
            _build(shared)
    (wheel,) = (shared / "dist").glob("*.whl")
    (sdist,) = (shared / "dist").glob("*.tar.gz")
    return Distributions(checkout=shared / "checkout", wheel=wheel, sdist=sdist)


def _build(folder: Path) -> None:
    checkout = folder / "checkout"
    shutil.copytree(ROOT, checkout, ignore=_NOT_COPIED)
    for name in JUNK:
        (checkout / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout / name).write_bytes(b"")
    # Without isolation: the network is slow, and the test group has setuptools.
    command = [sys.executable, "-m", "build", "--no-isolation", "-o", folder / "building"]
    built = run(command, cwd=checkout, env=clean_environment(PYTHONPATH=""))
    assert built.returncode == 0, built.stdout + built.stderr
    (folder / "building").rename(folder / "dist")


@pytest.fixture(scope="session", params=["wheel", "sdist", "editable", "checkout"])
def installed(
    request: pytest.FixtureRequest,
    distributions: Distributions,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Installed]:
    """Each way in which gearfleet can be there, in an environment without another gearfleet."""
    home = tmp_path_factory.mktemp(request.param)
    venv.create(home / "env", with_pip=False)
    environment = Installed(
        kind=request.param,
        bin=home / "env" / "bin",
        cwd=home,
        checkout=distributions.checkout,
    )
    _share_dependencies(home / "env")
    if request.param != "checkout":
        _pip_install(environment, distributions)
    yield environment
    shutil.rmtree(home, ignore_errors=True)


def _share_dependencies(env: Path) -> None:
    """Let `env` import what is installed here; an editable gearfleet here stays unseen.

    A folder that a .pth file adds has its own .pth files ignored, and those
    are what makes an editable install importable.
    """
    (packages,) = (env / "lib").glob("python3.*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")


def _pip_install(environment: Installed, distributions: Distributions) -> None:
    ways: dict[str, list[str | Path]] = {
        "wheel": [distributions.wheel],
        "sdist": [distributions.sdist],
        "editable": ["--editable", distributions.checkout],
    }
    pip = [sys.executable, "-m", "pip", "--python", environment.bin / "python", "install"]
    options = ["--no-deps", "--no-index", "--no-build-isolation", "--ignore-installed", "--quiet"]
    answer = run([*pip, *options, *ways[environment.kind]], env=clean_environment(PYTHONPATH=""))
    assert answer.returncode == 0, answer.stderr
