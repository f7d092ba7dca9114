"""Which tests run in the same process of pytest-xdist."""

from __future__ import annotations

from xdist.scheduler import LoadScopeScheduling

#: Beginnings of the ids of tests that share a PostgreSQL, distributions, or a whole fleet.
TOGETHER = (
    "tests/acceptance/test_apply_waves.py",
    "tests/acceptance/test_cli_apply.py",
    "tests/acceptance/test_cli_doctor.py",
    "tests/acceptance/test_cli_hosts.py",
    "tests/acceptance/test_cli_scale.py",
    "tests/acceptance/test_restart_live.py",
    "tests/acceptance/test_scale_hosts.py",
    "tests/integration/test_django_",
    "tests/originals/test_j20_",
    "tests/packaging/",
)


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out test by test, and those of each of `TOGETHER` in one piece.

    (The marks of pytest-xdist for that do nothing under pytest 9.2.)
    """

    def _split_scope(self, nodeid: str) -> str:
        return next((each for each in TOGETHER if nodeid.startswith(each)), nodeid)
