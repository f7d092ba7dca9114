"""Which tests run in the same process of pytest-xdist, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from xdist.scheduler import LoadScopeScheduling

if TYPE_CHECKING:
    import pytest
    from xdist.workermanage import WorkerController

#: Beginnings of the ids of tests that share a PostgreSQL, a site, distributions, a fleet or a crew.
TOGETHER = (
    "tests/acceptance/test_admin.py",
    "tests/acceptance/test_apply_waves.py",
    "tests/acceptance/test_cli_apply.py",
    "tests/acceptance/test_cli_control.py",
    "tests/acceptance/test_cli_doctor.py",
    "tests/acceptance/test_cli_fresh.py",
    "tests/acceptance/test_cli_hosts.py",
    "tests/acceptance/test_cli_scale.py",
    "tests/acceptance/test_cli_top.py",
    "tests/acceptance/test_delivery_database.py",
    "tests/acceptance/test_django_tasks.py",
    "tests/acceptance/test_live_hosts.py",
    "tests/acceptance/test_quiet_live.py",
    "tests/acceptance/test_restart_live.py",
    "tests/acceptance/test_supervisorctl_verbs.py",
    "tests/integration/test_django_",
    "tests/integration/test_supervisor_control.py",
    "tests/integration/test_supervisor_reconcile.py",
    "tests/integration/test_supervisor_tail.py",
    "tests/originals/test_j20_",
    "tests/packaging/",
)
#: Beginnings of the ids of tests that take ten seconds and more: one that begins last holds up the
#: end of all.
LONG = (
    "tests/acceptance/test_admin",
    "tests/acceptance/test_demo.py",
    "tests/acceptance/test_django_results.py",
    "tests/acceptance/test_examples.py",
    "tests/acceptance/test_readme.py",
    "tests/acceptance/test_worker_retries.py",
    "tests/chaos/",
    "tests/integration/test_conformance_lifecycle.py",
    "tests/integration/test_render_values.py",
    "tests/integration/test_supervisor_",
    "tests/originals/test_failing.py",
    "tests/originals/test_g08_production.py",
    "tests/originals/test_j20_supervisord_recipe.py",
)


def long_ones_first(items: list[pytest.Item]) -> None:
    """Bring tests into the order in which they are handed out; those of a module stay together."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


class Together(LoadScopeScheduling):  # type: ignore[misc]
    """Hands out test by test, and those of each of `TOGETHER` in one piece.

    (The marks of pytest-xdist for that do nothing under pytest 9.2.)

    One of the processes begins at the end, where the unit tests are. They compute while the tests
    of the other processes wait for what they have started; at the end of all, with nothing to
    wait for, they would stand in each other's way.
    """

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """Forget what is done, where xdist would count it again after each of all further tests."""
        super().mark_test_complete(node, item_index, duration)
        assigned = self.assigned_work[node]
        scope = self._split_scope(self.registered_collections[node][item_index])
        if all(assigned[scope].values()):
            del assigned[scope]

    def _split_scope(self, nodeid: str) -> str:
        return next((each for each in TOGETHER if nodeid.startswith(each)), nodeid)

    def _assign_work_unit(self, node: WorkerController) -> None:
        if len(self.nodes) > 2 and node is self.nodes[-1]:
            self.workqueue.move_to_end(next(reversed(self.workqueue)), last=False)
        super()._assign_work_unit(node)
