"""A Django project as gearfleet sees it: its settings and its apps.

    GEARFLEET = {
        "SERVERS": ["127.0.0.1:4730"],
        "FLEET": {"processes": 2},
        "QUEUES": {"bar": {"processes": 4}},
    }

The keys are those of gearfleet.toml, in upper or lower case. Names of queues,
programs, hosts and environment variables are kept as they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from gearfleet.config import read_settings, values, with_environment
from gearfleet.config.options import checked
from gearfleet.errors import ConfigError, WorkerModuleImportError
from gearfleet.results.store import close_stores
from gearfleet.tasks import App, apps_of
from gearfleet.tasks.naming import function_name

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from gearfleet.config import Settings

ORIGIN = "Django settings GEARFLEET"

#: Where the originals keep the job servers; the first that is set counts.
SERVERS = ("GEARMAN_CLIENT_SERVERS", "GEARMAN_SERVERS", "GEARMAN_WORKER_SERVERS")
WORKER_SERVERS = ("GEARMAN_WORKER_SERVERS", "GEARMAN_SERVERS", "GEARMAN_CLIENT_SERVERS")

#: Names of the originals for keys of ours whose values mean the same.
SAME = {
    "ZTASKD_ALWAYS_EAGER": "always_eager",
    "ZTASKD_DISABLED": "disabled",
    "ZTASKD_RETRY_COUNT": "retries",
    "ZTASKD_RETRY_AFTER": "retry_after",
}

#: With what jobs are signed, unless GEARFLEET says otherwise.
SECRETS = ("SECRET_KEY", "SECRET_KEY_FALLBACKS")

#: How the originals make functions of task names.
NAMES = ("GEARMAN_JOB_NAME", "GEARMAN_CLIENT_NAMESPACE")

#: What django-ztask calls when it starts, which is what hooks are for.
ON_LOAD = "ZTASKD_ON_LOAD"

#: Where Django Q keeps what it says of its workers.
Q_SETTINGS = ("Q_CLUSTER", "Q_WORKERS")

#: The keys of Q_CLUSTER for options of ours. `daemonize_workers` has none: it let the tasks of
#: Django Q start processes, which those of every worker of ours may.
Q_KEYS = {
    "workers": "processes",
    "recycle": "max_jobs",
    "max_rss": "max_rss",
    "cpu_affinity": "cpu_affinity",
}

#: Which of the originals' settings may give each key of ours.
_ORIGINALS: Mapping[str, tuple[str, ...]] = {
    **{key: (name,) for name, key in SAME.items()},
    "servers": SERVERS,
    "worker_servers": WORKER_SERVERS,
    "prefix": NAMES,
}

#: The hook that hands failures on to the error reporters of Django Q.
REPORTER = "gearfleet.contrib.django.reporters.report"

#: All settings that `django_settings` reads.
SETTINGS = frozenset(
    {"GEARFLEET", "BASE_DIR", "USE_TZ", "TIME_ZONE", ON_LOAD}
    | {*Q_SETTINGS, *SECRETS, *SERVERS, *SAME, *NAMES}
)

#: As Django does around a request, so that a job never gets a connection that
#: the database has closed meanwhile.
DATABASE_HOOKS = {
    "before_job": ("django.db.close_old_connections",),
    "after_job": ("django.db.close_old_connections",),
}

#: Those that send the signals, where the app is installed.
SIGNAL_HOOKS = {
    "on_start": ("gearfleet.contrib.django.signals.tell_start",),
    "before_job": ("gearfleet.contrib.django.signals.tell_begin",),
    "after_job": ("gearfleet.contrib.django.signals.tell_end",),
}


def setup() -> None:
    """Set Django up, unless it is.

    Raises:
        WorkerModuleImportError: the settings or an app do not import; its
            exception is the cause.
    """
    import django

    try:
        django.setup()
    except Exception as error:
        module = os.environ.get("DJANGO_SETTINGS_MODULE", "")
        raise WorkerModuleImportError(
            f"Django cannot be set up with the settings '{module}': {type(error).__name__}: {error}"
        ) from error


def before_fork() -> None:
    """Close what the import has connected to; a connection must not have two processes.

    The code of the databases, which Django imports late, is imported: the processes share it.
    """
    from django.core.cache import caches
    from django.db import connections

    for connection in connections.all():
        import_module(f"{connection.settings_dict['ENGINE']}.base")
        connection.ops.compiler("SQLCompiler")
    if django_settings().results.startswith("django"):
        import_module("gearfleet.contrib.django.results")
    close_stores()
    connections.close_all()
    caches.close_all()


def django_settings() -> Settings:
    """Return gearfleet's settings of the Django project, which must be set up; see `read_django`."""
    from django.conf import settings

    return read_django(settings, installed=_installed(), environ=os.environ)


def read_django(
    django: object, *, installed: Iterable[App], environ: Mapping[str, str]
) -> Settings:
    """Return the settings that the attributes of `django` mean.

    Raises:
        ConfigError: GEARFLEET has an unknown key or a value of the wrong kind.
    """
    table = getattr(django, "GEARFLEET", {})
    if not isinstance(table, Mapping):
        raise ConfigError(f"{ORIGIN} must be a dict; it is {table!r}")
    root = Path(getattr(django, "BASE_DIR", None) or Path.cwd())
    lowered = _lower(table)
    merged = _with_originals(lowered, django)
    installed = tuple(installed)
    has_app = any(app.label == "gearfleet" for app in installed)
    if has_app:
        merged.setdefault("schedule_store", "django")
    settings = read_settings(merged, root=root, origin=ORIGIN)
    if not settings.apps:
        apps = tuple(app.name for app in installed)
        settings = settings.changed("Django settings INSTALLED_APPS", apps=apps)
    if "signing_keys" not in lowered and (secrets := _secrets(django)):
        settings = settings.changed("Django settings SECRET_KEY", signing_keys=secrets)
    hooks = _with_reporters(_with_on_load(settings.hooks, django), django)
    settings = replace(
        settings,
        hooks=_joined_hooks(DATABASE_HOOKS, SIGNAL_HOOKS if has_app else {}, hooks),
        sources={**settings.sources, **_other_sources(merged, lowered, django)},
    )
    return with_environment(settings, environ)


def installed_apps() -> tuple[App, ...]:
    """Return the apps to search for tasks: every installed one, unless the settings name some."""
    installed = {app.name: app for app in _installed()}
    return tuple(installed.get(app.name, app) for app in apps_of(django_settings().apps))


def template_folders() -> list[Path]:
    """Return the folders in which the project has templates; it must be set up."""
    from django.conf import settings

    folders = [folder for engine in settings.TEMPLATES for folder in engine.get("DIRS", ())]
    return [Path(folder) for folder in folders if Path(folder).is_dir()]


def _installed() -> tuple[App, ...]:
    from django.apps import apps

    return tuple(App(name=one.name, label=one.label) for one in apps.get_app_configs())


def _with_originals(table: Any, django: object) -> dict[str, Any]:
    """Return the table under which the originals' own settings lie."""
    found = {key: getattr(django, name) for name, key in SAME.items() if hasattr(django, name)}
    if getattr(django, "USE_TZ", True):
        found["time_zone"] = getattr(django, "TIME_ZONE", None) or "UTC"
    if "servers" not in table:
        found |= _servers(django)
    if (prefix := _prefix(django)) is not None:
        found["prefix"] = prefix
    if options := _of_django_q(django):
        found["fleet"] = {option: value for option, (value, _) in options.items()}
    return {**found, **table, **_joined(found, table, "fleet")}


def _other_sources(merged: Any, table: Any, django: object) -> dict[str, str]:
    """Return which of the originals' settings gave a key that `table` does not have."""
    found = {
        key: next(name for name in names if getattr(django, name, None) is not None)
        for key, names in _ORIGINALS.items()
        if key in merged and key not in table
    }
    ours = table.get("fleet") or ()
    options = _of_django_q(django).items()
    found |= {f"fleet.{option}": name for option, (_, name) in options if option not in ours}
    return {key: f"Django settings {name}" for key, name in found.items()}


def _joined(first: Mapping[str, Any], second: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Return the table under `key` of both; what the second says counts."""
    one, two = first.get(key), second.get(key)
    return {key: {**one, **two}} if isinstance(one, Mapping) and isinstance(two, Mapping) else {}


def _of_django_q(django: object) -> dict[str, tuple[Any, str]]:
    """Return the options that Django Q's settings give to all workers, each with its setting."""
    workers, cluster = (getattr(django, name, None) for name in ("Q_WORKERS", "Q_CLUSTER"))
    found = {} if workers is None else {"processes": (workers, "Q_WORKERS")}
    return found | (_of_cluster(cluster) if isinstance(cluster, Mapping) else {})


def _of_cluster(cluster: Mapping[str, Any]) -> dict[str, tuple[Any, str]]:
    named = {key: cluster[key] for key in Q_KEYS if cluster.get(key) is not None}
    if "max_rss" in named:
        named["max_rss"] = f"{named['max_rss']}KB"
    return {Q_KEYS[key]: (value, f"Q_CLUSTER['{key}']") for key, value in named.items()}


def _secrets(django: object) -> tuple[str, ...]:
    """Return the keys of Django's own signatures; none where the project has none."""
    from django.core.exceptions import ImproperlyConfigured

    try:
        found = getattr(django, "SECRET_KEY", None)
    except ImproperlyConfigured:  # it is empty, which Django minds when it is needed
        return ()
    secrets = [found, *(getattr(django, "SECRET_KEY_FALLBACKS", None) or ())]
    return tuple(_secret(secret) for secret in secrets if secret)


def _secret(secret: str | bytes) -> str:
    return secret.decode("latin-1") if isinstance(secret, bytes) else str(secret)


def _servers(django: object) -> dict[str, Any]:
    clients, workers = (_first(django, names) for names in (SERVERS, WORKER_SERVERS))
    if not clients:
        return {}
    return {"servers": clients} if workers == clients else {
        "servers": clients, "worker_servers": workers,
    }  # fmt: skip


def _first(django: object, names: Iterable[str]) -> Any:
    found = next(filter(None, (getattr(django, name, None) for name in names)), None)
    return [found] if isinstance(found, str) else found


def _prefix(django: object) -> str | Callable[[str], str] | None:
    """Return what GEARMAN_JOB_NAME and GEARMAN_CLIENT_NAMESPACE together make of a name."""
    named = getattr(django, "GEARMAN_JOB_NAME", None)
    space = getattr(django, "GEARMAN_CLIENT_NAMESPACE", None)
    if not (callable(named) or named == "cwd"):
        named = None  # as django-gearman has it: the names stay as they are
    if not space:
        return named
    return partial(_in_namespace, named or "", str(space))


def _in_namespace(inner: str | Callable[[str], str], space: str, name: str) -> str:
    return f"{function_name(name, inner)}@{space}"


def _with_on_load(
    hooks: Mapping[str, tuple[str, ...]], django: object
) -> dict[str, tuple[str, ...]]:
    """Return `hooks` with what django-ztask calls at each start, first and in its order."""
    named = checked(values.texts, getattr(django, ON_LOAD, None) or (), ON_LOAD)
    started = (*named, *hooks.get("on_start", ()))
    return {**hooks, "on_start": started} if named else dict(hooks)


def _with_reporters(
    hooks: Mapping[str, tuple[str, ...]], django: object
) -> dict[str, tuple[str, ...]]:
    """Return `hooks` with the error reporters of Django Q, if its settings name some."""
    cluster = getattr(django, "Q_CLUSTER", None)
    if not (isinstance(cluster, Mapping) and cluster.get("error_reporter")):
        return dict(hooks)
    return _joined_hooks({"on_failure": (REPORTER,)}, hooks)


def _joined_hooks(*tables: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Return the hooks of all tables, in their order."""
    names = dict.fromkeys(name for table in tables for name in table)
    return {name: tuple(path for t in tables for path in t.get(name, ())) for name in names}


# From Django's habit (upper case, Path) to that of a settings file. What is no
# table passes unchanged: the reader of the settings names it as a mistake.


def _lower(value: Any) -> Any:
    """Return the whole table, or the part of one host, as the settings file has it."""
    return _table(value, lambda key, item: (key.lower(), _PARTS.get(key.lower(), _text)(item)))


def _options(value: Any) -> Any:
    return _table(value, lambda key, item: (key.lower(), _text(item)))


def _named(part: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: _table(value, lambda name, item: (name, part(item)))


_PARTS: Mapping[str, Callable[[Any], Any]] = {
    "fleet": _options,
    "hooks": _options,
    "queues": _named(_options),
    "programs": _named(_options),
    "hosts": _named(_lower),
    "schedules": _named(_options),
}


def _table(value: Any, change: Callable[[str, Any], tuple[str, Any]]) -> Any:
    if not isinstance(value, Mapping):
        return value
    return dict(change(str(key), item) for key, item in value.items())


def _text(value: Any) -> Any:
    return str(value) if isinstance(value, PurePath) else value
