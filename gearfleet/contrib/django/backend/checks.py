"""System checks of a backend in TASKS: what would keep jobs from being run, or results from being found."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import apps
from django.core.checks import CheckMessage, Error, Warning

from gearfleet import config
from gearfleet.contrib.django.backend.adoption import AdoptedTask
from gearfleet.contrib.django.backend.options import KNOWN, problems
from gearfleet.contrib.django.project import installed_apps
from gearfleet.errors import GearfleetError, did_you_mean
from gearfleet.tasks.declarations import declared_anywhere
from gearfleet.tasks.naming import CONVENTIONS, name_problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gearfleet.config import Settings
    from gearfleet.contrib.django.backend.gearman import GearmanBackend


def messages(backend: GearmanBackend) -> list[CheckMessage]:
    """Return all that is wrong."""
    if not apps.is_installed("gearfleet.contrib.django"):
        return [
            Error(
                f"TASKS['{backend.alias}'] needs the app of gearfleet, which is not installed.",
                hint="Add 'gearfleet.contrib.django' to INSTALLED_APPS.",
                id="gearfleet.E101",
            )
        ]
    try:
        settings, is_kept = config.current(), backend.supports_get_result
    except GearfleetError as error:
        return [
            Error(
                f"TASKS['{backend.alias}'] cannot use the settings of gearfleet: {error}",
                hint="Run 'manage.py gearfleet config' to see them.",
                id="gearfleet.E104",
            )
        ]
    return [
        *_of_options(backend),
        *_of_queues(backend),
        *([] if is_kept else [_of_results(backend, settings)]),
        *_of_tasks(backend),
    ]


def why_no_results(settings: Settings) -> str:
    """Return which setting keeps results from being found."""
    if settings.results in ("none", "memory"):
        return (
            f"GEARFLEET['RESULTS'] is '{settings.results}'; write 'django' to keep them in the "
            "database, or 'sqlite'"
        )
    return (
        f"GEARFLEET['SAVE_LIMIT'] is {settings.save_limit}; write 0 to keep them all, or set "
        "OPTIONS['KEEP_RESULTS'] to seconds"
    )


def _of_options(backend: GearmanBackend) -> Iterator[CheckMessage]:
    for name in backend.options:
        if name not in KNOWN:
            yield Warning(
                f"TASKS['{backend.alias}']['OPTIONS'] has an unknown key {name!r}.",
                hint=f"{did_you_mean(str(name), KNOWN)}",
                id="gearfleet.W101",
            )
    for name, problem in problems(backend.options).items():
        yield Error(
            f"TASKS['{backend.alias}']['OPTIONS']['{name}'] cannot be used: {problem}.",
            hint="It counts as not given.",
            id="gearfleet.E102",
        )


def _of_queues(backend: GearmanBackend) -> Iterator[CheckMessage]:
    for queue in sorted(backend.queues, key=str):
        if problem := name_problem(queue):
            yield Error(
                f"TASKS['{backend.alias}']['QUEUES'] has a queue {queue!r}: {problem}.",
                hint="Queues are names of Supervisor's groups and of workers.",
                id="gearfleet.E103",
            )


def _of_results(backend: GearmanBackend, settings: Settings) -> CheckMessage:
    return Warning(
        f"TASKS['{backend.alias}'] keeps no results, so get_result() and refresh() raise "
        "NotImplementedError.",
        hint=f"{why_no_results(settings)}.",
        id="gearfleet.W102",
    )


def _of_tasks(backend: GearmanBackend) -> Iterator[CheckMessage]:
    """Yield the tasks, of those that were imported, that no worker would look for."""
    searched = [app.name for app in installed_apps()]
    for task in declared_anywhere():
        if not isinstance(task, AdoptedTask) or task.of_django.backend != backend.alias:
            continue
        if task.name != task.of_django.module_path:
            continue  # the same once more, in another queue
        if not any(_is_searched(task.module, app) for app in searched):
            yield Warning(
                f"Task '{task.name}' is in no module that workers look into, so nobody runs its "
                "jobs.",
                hint="Declare it in tasks.py or in gearman_workers/ of an installed app.",
                obj=task.of_django.func,
                id="gearfleet.W103",
            )


def _is_searched(module: str, app: str) -> bool:
    """Return whether the workers of `app` look into `module`."""
    if module == app:
        return True
    first, *others = (
        module.removeprefix(f"{app}.").split(".") if module.startswith(f"{app}.") else [""]
    )
    return first in CONVENTIONS and not any(part.startswith("_") for part in others)
