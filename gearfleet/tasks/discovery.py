"""Find the worker modules of apps by where they stand, then import them.

A module is looked for before it is imported, so that "there is no such
module" is never confused with "a module that it needs is missing": whatever
importing raises is fatal, with its traceback.
"""

from __future__ import annotations

import os
from collections import defaultdict
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Any, NamedTuple

from gearfleet.errors import (
    DiscoveryError,
    DuplicateTask,
    UnknownName,
    WorkerModuleImportError,
    did_you_mean,
)
from gearfleet.tasks.declarations import declared_in, declared_within
from gearfleet.tasks.naming import CONVENTIONS
from gearfleet.tasks.registry import App, Registry, WorkerModule, together

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from importlib.machinery import ModuleSpec

    from gearfleet.tasks.task import Task

WORKERS = "gearman_workers"


class Candidate(NamedTuple):
    """A module that may declare tasks; it is not imported yet.

    `is_container` is true of an app's package and of its ``gearman_workers``:
    only what stands in their own ``__init__`` is theirs.
    """

    app: App
    module: str
    is_container: bool = False

    @property
    def worker(self) -> str:
        return self.module.rpartition(".")[2]


def discover(apps: Iterable[App]) -> Registry:
    """Import the worker modules of all `apps` and return what they declare.

    Modules without tasks are left out; a module that two apps reach belongs to
    the first.

    Raises:
        UnknownName: an app does not exist.
        WorkerModuleImportError: a module raised; its exception is the cause.
        DuplicateTask: two tasks have one name.
        DiscoveryError: two worker modules of an app have one name.
    """
    found: dict[str, WorkerModule] = {}
    for app in dict.fromkeys(apps):
        for candidate in _candidates(app):
            if candidate.module not in found:
                found[candidate.module] = _load(candidate)
    modules = tuple(module for module in found.values() if module.tasks)
    _refuse_equal_workers(modules)
    _refuse_duplicates(modules)
    return Registry(modules=modules)


def load_worker(apps: Iterable[App], app: str, worker: str) -> WorkerModule:
    """Import one worker module, and none beside it, and return what it declares.

    Args:
        apps: those of the project.
        app: name or label of one of them.
        worker: the last name of one of its worker modules.

    Raises:
        UnknownName: there is no such app or worker; the message lists those that exist.
        WorkerModuleImportError: the module raised; its exception is the cause.
        DiscoveryError: the module declares no task, or two of one name.
    """
    candidates = tuple(_candidates(_find_app(apps, app)))
    named = [candidate for candidate in candidates if candidate.worker == worker]
    modules = tuple(module for module in map(_load, named) if module.tasks)
    if not modules:
        raise _no_tasks(app, worker, candidates)
    _refuse_equal_workers(modules)
    _refuse_duplicates(modules)
    return modules[0]


def load_workers(apps: Iterable[App], named: Iterable[tuple[str, str]]) -> WorkerModule:
    """Do as `load_worker` for each app and worker of `named`, and return them as one module.

    Raises:
        DuplicateTask: two tasks of theirs have one name.
    """
    apps = tuple(apps)
    modules = tuple(load_worker(apps, app, worker) for app, worker in dict.fromkeys(named))
    _refuse_duplicates(modules)
    return together(modules)


def _no_tasks(app: str, worker: str, candidates: Iterable[Candidate]) -> Exception:
    known = {one.worker: one.module for one in candidates if not one.is_container}
    if worker not in known:
        return UnknownName(f"App '{app}' has no worker '{worker}' {did_you_mean(worker, known)}")
    return DiscoveryError(
        f"Worker module '{known[worker]}' declares no tasks; decorate a function with @task"
    )


def _find_app(apps: Iterable[App], name: str) -> App:
    apps = tuple(dict.fromkeys(apps))
    matches = [app for app in apps if app.name == name] or [
        app for app in apps if app.label == name
    ]
    if len(matches) == 1:
        return matches[0]
    if matches:
        names = ", ".join(app.name for app in matches)
        raise UnknownName(f"App '{name}' may be any of {names}; give the whole name")
    raise UnknownName.of("app", name, [app.name for app in apps])


def _candidates(app: App) -> Iterator[Candidate]:
    if not _is_package(_spec_of(app)):
        yield Candidate(app=app, module=app.name)
        return
    _import(app.name, "App")
    yield Candidate(app=app, module=app.name, is_container=True)
    yield from _workers_of(app)
    for name in CONVENTIONS:
        if name != WORKERS and find_spec(f"{app.name}.{name}"):
            yield Candidate(app=app, module=f"{app.name}.{name}")


def _workers_of(app: App) -> Iterator[Candidate]:
    package = f"{app.name}.{WORKERS}"
    spec = find_spec(package)
    if spec is None:
        return
    _refuse_unreadable(package, spec.submodule_search_locations or ())
    yield Candidate(app=app, module=package, is_container=_is_package(spec))
    for name in sorted(entry.name for entry in iter_modules(spec.submodule_search_locations or ())):
        if not name.startswith("_"):
            yield Candidate(app=app, module=f"{package}.{name}")


def _refuse_unreadable(package: str, folders: Iterable[str]) -> None:
    # iter_modules finds nothing in a folder that it may not read, as if it were empty.
    for folder in folders:
        try:
            os.scandir(folder).close()
        except PermissionError as error:
            raise DiscoveryError(
                f"'{package}' cannot be searched for worker modules, because user "
                f"{os.geteuid()} may not read {folder}; see its permissions"
            ) from error
        except OSError:
            continue  # a zip file, for example


def _is_package(spec: ModuleSpec) -> bool:
    return spec.submodule_search_locations is not None


def _spec_of(app: App) -> ModuleSpec:
    if not all(part.isidentifier() for part in app.name.split(".")):
        raise UnknownName(
            f"App '{app.name}' is no dotted name of a package or module, such as shop.orders; "
            "check --app, GEARFLEET_APP or the setting 'apps'"
        )
    try:
        spec = find_spec(app.name)
    except (Exception, SystemExit) as error:
        if not _says_that_it_is_missing(error, app.name):
            raise _import_error("App", app.name, error) from error
        spec = None
    if spec is None:
        raise UnknownName(
            f"App '{app.name}' does not exist: no package or module of that name is on the "
            "path; check --app, GEARFLEET_APP or the setting 'apps'"
        )
    return spec


def _says_that_it_is_missing(error: BaseException, name: str) -> bool:
    """Tell "there is no `name`" from "importing a parent of `name` failed"."""
    missing = error.name if isinstance(error, ModuleNotFoundError) else None
    return missing is not None and f"{name}.".startswith(f"{missing}.")


def _load(candidate: Candidate) -> WorkerModule:
    _import(candidate.module, "Worker module")
    declared = declared_in if candidate.is_container else declared_within
    return WorkerModule(
        app=candidate.app,
        worker=candidate.worker,
        module=candidate.module,
        tasks=declared(candidate.module),
    )


def _import(name: str, kind: str) -> None:
    try:
        import_module(name)
    except (Exception, SystemExit) as error:
        raise _import_error(kind, name, error) from error


def _import_error(kind: str, name: str, error: BaseException) -> WorkerModuleImportError:
    return WorkerModuleImportError(
        f"{kind} '{name}' cannot be imported: {type(error).__name__}: {error}"
    )


def _refuse_equal_workers(modules: Iterable[WorkerModule]) -> None:
    seen: dict[tuple[App, str], WorkerModule] = {}
    for module in modules:
        other = seen.setdefault((module.app, module.worker), module)
        if other is not module:
            raise DiscoveryError(
                f"App '{module.app.name}' has two workers called '{module.worker}': "
                f"{other.module} and {module.module}; rename one of the modules"
            )


def _refuse_duplicates(modules: Iterable[WorkerModule]) -> None:
    by_name: defaultdict[str, list[Task[Any, Any]]] = defaultdict(list)
    for module in modules:
        for task in module.tasks:
            by_name[task.name].append(task)
    for name, tasks in by_name.items():
        if len(tasks) > 1:
            places = " and ".join(task.place for task in tasks)
            raise DuplicateTask(
                f"Two tasks are called '{name}': {places}; "
                "give one of them another name with @task(name=...)"
            )
