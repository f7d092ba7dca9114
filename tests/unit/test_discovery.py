"""Which modules are worker modules, and what is said when they cannot be used."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import (
    DiscoveryError,
    DuplicateTask,
    UnknownName,
    WorkerModuleImportError,
)
from gearfleet.tasks import App, Registry, apps_of, discover, load_worker
from tests.support.packages import importable
from tests.support.users import unprivileged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Write = Callable[..., Path]

TASK = """
    from gearfleet.tasks import task

    @task
    def {0}(): ...
"""


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    with importable(tmp_path) as write:
        yield write


def found(registry: Registry) -> dict[str, list[str]]:
    return {module.module: [task.name for task in module.tasks] for module in registry.modules}


def test_discover__every_place(write: Write) -> None:
    write("shop/gearman_workers/worker_b.py", TASK.format("one"))
    write("shop/gearman_workers/worker_a.py", TASK.format("two"))
    write("shop/gearman_jobs.py", TASK.format("three"))
    write("shop/tasks.py", TASK.format("four"))
    write("shop/views.py", "raise AssertionError('not a worker module')")

    registry = discover(apps_of(["shop"]))

    assert found(registry) == {
        "shop.gearman_workers.worker_a": ["shop.worker_a.two"],
        "shop.gearman_workers.worker_b": ["shop.worker_b.one"],
        "shop.gearman_jobs": ["shop.three"],
        "shop.tasks": ["shop.four"],
    }
    assert [module.worker for module in registry.modules] == [
        "worker_a", "worker_b", "gearman_jobs", "tasks",
    ]  # fmt: skip


def test_discover__files_with_an_underscore_are_left_out(write: Write) -> None:
    write("shop/gearman_workers/_shared.py", "raise AssertionError('not a worker module')")
    assert found(discover(apps_of(["shop"]))) == {}


def test_discover__a_plain_module_is_the_worker_module(write: Write) -> None:
    write("jobs.py", TASK.format("one"))
    write("tools/jobs.py", TASK.format("two"))
    registry = discover(apps_of(["jobs", "tools.jobs"]))
    assert found(registry) == {"jobs": ["jobs.one"], "tools.jobs": ["tools.jobs.two"]}


def test_discover__the_app_package_itself(write: Write) -> None:
    write("shop/__init__.py", TASK.format("one"))
    write("shop/tasks.py", TASK.format("two"))
    assert found(discover(apps_of(["shop"]))) == {"shop": ["shop.one"], "shop.tasks": ["shop.two"]}


def test_discover__a_package_counts_as_one_worker_module(write: Write) -> None:
    write("shop/tasks/__init__.py", "from shop.tasks import images")
    write("shop/tasks/images.py", TASK.format("one"))
    write("shop/gearman_workers/bulk/__init__.py", "from shop.gearman_workers.bulk import mail")
    write("shop/gearman_workers/bulk/mail.py", TASK.format("two"))
    assert found(discover(apps_of(["shop"]))) == {
        "shop.gearman_workers.bulk": ["shop.bulk.mail.two"],
        "shop.tasks": ["shop.images.one"],
    }


def test_discover__gearman_workers_itself(write: Write) -> None:
    write("shop/gearman_workers/__init__.py", TASK.format("one"))
    write("shop/gearman_workers/worker_a.py", TASK.format("two"))
    write("post/gearman_workers.py", TASK.format("three"))
    assert found(discover(apps_of(["shop", "post"]))) == {
        "shop.gearman_workers": ["shop.one"],
        "shop.gearman_workers.worker_a": ["shop.worker_a.two"],
        "post.gearman_workers": ["post.three"],
    }
    assert load_worker(apps_of(["shop"]), "shop", "gearman_workers").tasks[0].name == "shop.one"


def test_discover__imported_tasks_belong_where_they_are_declared(write: Write) -> None:
    write("shop/tasks.py", TASK.format("one"))
    write("shop/gearman_jobs.py", TASK.format("two") + "\n    from shop.tasks import one")
    assert found(discover(apps_of(["shop"]))) == {
        "shop.gearman_jobs": ["shop.two"],
        "shop.tasks": ["shop.one"],
    }


def test_discover__each_module_once(write: Write) -> None:
    write("shop/tasks.py", TASK.format("one"))
    registry = discover(apps_of(["shop", "shop", "shop.tasks"]))
    assert found(registry) == {"shop.tasks": ["shop.one"]}
    assert registry.modules[0].app.name == "shop"


def test_discover__an_app_without_tasks(write: Write) -> None:
    write("shop/models.py")
    assert discover(apps_of(["shop"])).tasks == ()


def test_discover__after_reload__what_the_old_code_declared_is_forgotten(write: Write) -> None:
    path = write("shop/tasks.py", TASK.format("before"))
    discover(apps_of(["shop"]))
    path.write_text("# longer\n\n" + path.read_text().replace("before", "after_reload"))
    importlib.reload(sys.modules["shop.tasks"])
    assert found(discover(apps_of(["shop"]))) == {"shop.tasks": ["shop.after_reload"]}


def test_discover__two_tasks_of_one_python_name(write: Write) -> None:
    write(
        "shop/tasks.py",
        """
        from gearfleet.tasks import task

        @task(name="first")
        def work(): return 1

        @task(name="second")
        def work(): return 2
        """,
    )
    registry = discover(apps_of(["shop"]))
    assert [registry.find(name)() for name in ("first", "second")] == [1, 2]


def test_discover__duplicate_names__both_places(write: Write) -> None:
    one = write("shop/tasks.py", TASK.format("same"))
    two = write("shop/gearman_jobs.py", TASK.format("same"))
    with pytest.raises(DuplicateTask) as caught:
        discover(apps_of(["shop"]))
    assert "'shop.same'" in str(caught.value)
    assert f"{one}:4" in str(caught.value)
    assert f"{two}:4" in str(caught.value)


def test_discover__equal_workers_in_one_app(write: Write) -> None:
    write("shop/tasks.py", TASK.format("one"))
    write("shop/gearman_workers/tasks.py", TASK.format("two"))
    for look in (discover, lambda apps: load_worker(apps, "shop", "tasks")):
        with pytest.raises(DiscoveryError, match=r"gearman_workers\.tasks and shop\.tasks"):
            look(apps_of(["shop"]))


@pytest.mark.parametrize("name", ["nowhere", "nowhere.inside", "json.nowhere.inside"])
def test_discover__an_app_that_does_not_exist(name: str) -> None:
    with pytest.raises(UnknownName, match=f"App '{name}' does not exist.*--app"):
        discover(apps_of([name]))


@pytest.mark.parametrize(
    ("source", "cause"),
    [
        ("import nowhere_at_all", ModuleNotFoundError),
        ("from shop import nothing", ImportError),
        ("1 / 0", ZeroDivisionError),
        ("def broken(", SyntaxError),
        ("raise SystemExit(0)", SystemExit),
    ],
)
@pytest.mark.parametrize("path", ["shop/tasks.py", "shop/gearman_workers/worker_a.py"])
def test_discover__a_module_that_fails__cause_is_kept(
    write: Write, path: str, source: str, cause: type[BaseException]
) -> None:
    write(path, source)
    module = path.removesuffix(".py").replace("/", ".")
    with pytest.raises(WorkerModuleImportError, match=f"Worker module '{module}'") as caught:
        discover(apps_of(["shop"]))
    assert isinstance(caught.value.__cause__, cause)
    assert caught.value.exit_code == 3


def test_discover__an_app_that_fails(write: Write) -> None:
    write("shop/__init__.py", "import shop.missing_part")
    with pytest.raises(WorkerModuleImportError, match=r"App 'shop' .*shop\.missing_part"):
        discover(apps_of(["shop"]))


def test_discover__a_parent_that_fails(write: Write) -> None:
    write("tools/__init__.py", "import tools.missing_part")
    write("tools/shop/tasks.py", TASK.format("one"))
    with pytest.raises(WorkerModuleImportError, match=r"App 'tools.shop' .*tools\.missing_part"):
        discover(apps_of(["tools.shop"]))


def test_discover__a_folder_that_may_not_be_read_is_not_an_empty_one() -> None:
    # Not tmp_path, which stands in a folder that is closed itself.
    with TemporaryDirectory() as root, importable(Path(root)) as write:
        Path(root).chmod(0o755)
        folder = write("shop/gearman_workers/worker_a.py", TASK.format("one")).parent
        folder.chmod(0o311)
        with unprivileged(), pytest.raises(DiscoveryError, match=f"may not read {folder}"):
            discover(apps_of(["shop"]))
        folder.chmod(0o755)


@pytest.mark.parametrize("name", ["shop/", "../shop", "shop.py/", "shop-2", ""])
def test_discover__a_path_is_no_app(name: str) -> None:
    with pytest.raises(UnknownName, match="is no dotted name of a package or module"):
        discover(apps_of([name]))


def test_load_worker__imports_only_that_module(write: Write) -> None:
    write("shop/gearman_workers/worker_a.py", TASK.format("one"))
    write("shop/gearman_workers/worker_b.py", "raise AssertionError('not asked for')")
    write("shop/tasks.py", "raise AssertionError('not asked for')")
    module = load_worker(apps_of(["shop"]), "shop", "worker_a")
    assert (module.module, module.queues) == ("shop.gearman_workers.worker_a", ("default",))


def test_load_worker__by_label(write: Write) -> None:
    write("tools/shop/tasks.py", TASK.format("one"))
    apps = [App(name="tools.shop", label="store")]
    assert load_worker(apps, "store", "tasks") == load_worker(apps, "tools.shop", "tasks")


def test_load_worker__label_of_two_apps(write: Write) -> None:
    apps = apps_of(["one.shop", "two.shop"])
    with pytest.raises(UnknownName, match=r"any of one\.shop, two\.shop"):
        load_worker(apps, "shop", "tasks")


def test_load_worker__unknown_app_lists_the_known() -> None:
    with pytest.raises(UnknownName) as caught:
        load_worker(apps_of(["shop", "post"]), "shpo", "x")
    assert str(caught.value) == "Unknown app 'shpo' (known: post, shop). Did you mean 'shop'?"


def test_load_worker__unknown_worker_lists_the_known_without_importing(write: Write) -> None:
    write("shop/gearman_workers/worker_a.py", "raise AssertionError('not asked for')")
    write("shop/tasks.py", "raise AssertionError('not asked for')")
    with pytest.raises(UnknownName) as caught:
        load_worker(apps_of(["shop"]), "shop", "worker_b")
    assert str(caught.value) == (
        "App 'shop' has no worker 'worker_b' (known: tasks, worker_a). Did you mean 'worker_a'?"
    )


def test_load_worker__without_tasks(write: Write) -> None:
    write("shop/tasks.py")
    with pytest.raises(DiscoveryError, match=r"'shop\.tasks' declares no tasks"):
        load_worker(apps_of(["shop"]), "shop", "tasks")


def test_find__unknown_task_lists_the_known(write: Write) -> None:
    write("shop/tasks.py", TASK.format("resize"))
    with pytest.raises(UnknownName, match=r"Unknown task 'shop.resise'.*mean 'shop.resize'"):
        discover(apps_of(["shop"])).find("shop.resise")
