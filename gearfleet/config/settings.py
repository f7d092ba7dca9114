"""`Settings`: everything that a project tells gearfleet, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from gearfleet.config.options import Value
from gearfleet.config.rundir import default_run_dir
from gearfleet.errors import UnknownName

#: Options of a program, as one table of the settings gives them.
Options = Mapping[str, Value]

DEFAULT_SERVERS = ("127.0.0.1:4730",)

#: Larger data belongs into a file or a store, and its name into the payload:
#: gearmand keeps every queued payload in memory.
DEFAULT_MAX_PAYLOAD_BYTES = 32 * 1024 * 1024

DEFAULTS_ORIGIN = "built-in defaults"

#: What ``--host`` takes for every host; none may be called so.
ALL_HOSTS = "all"


def toml_key(key: str) -> str:
    """Return `key` as it stands in a settings file: quoted if it is not a bare one.

    Example:
        >>> toml_key("shop.worker")
        '"shop.worker"'
    """
    bare = key.replace("_", "").replace("-", "")
    return key if bare.isascii() and bare.isalnum() else f'"{key}"'


class Layers(NamedTuple):
    """Program options at three ranks; a program's own beat its queue's, those the fleet's."""

    fleet: Options = {}
    queues: Mapping[str, Options] = {}
    programs: Mapping[str, Options] = {}


class Host(NamedTuple):
    """What is different on one host or in a role, and how its supervisord is reached.

    Attributes:
        url: of its supervisord; a role has none.
        username_env: the environment variable with the user name of that URL.
        password_env: the environment variable with its password.
        role: the entry of `Settings.hosts` whose options hold here too, below these.
        cpus: that workers may use there; None for those of the host that renders.
        layers: its own program options.
    """

    url: str | None = None
    username_env: str | None = None
    password_env: str | None = None
    role: str | None = None
    cpus: int | None = None
    layers: Layers = field(default_factory=Layers)


class GroupSettings(NamedTuple):
    """What the settings say of one group.

    Attributes:
        programs: that are in it instead of in the group of their queue.
        priority: order of start and of listing.
    """

    programs: tuple[str, ...] = ()
    priority: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one project.

    Attributes:
        apps: packages (or modules) that are searched for worker modules.
        servers: job servers, each ``host``, ``host:port`` or ``[v6]:port``.
        prefix: put before a task's name to make its function; a text or a callable.
        hooks: dotted paths of hooks, by the name of the hook.
        worker_servers: job servers of the workers, where they are others than the clients'.
        client_timeout: seconds that a caller waits for a result by default.
        always_eager: whether jobs run in the caller's process, at once, for tests and debugging.
        disabled: whether jobs are logged and not run.
        send_failure: what to do when no job server can be reached: ``raise`` or ``run``,
            which runs a background job in the caller's process.
        signing_keys: secrets that jobs are signed with: the first signs, all verify; none
            leaves jobs unsigned.
        compress_above: bytes of a payload from which on it is compressed; 0 for never.
        max_payload_bytes: of a payload, before it is compressed, and of a result.
        retries: how often a failed background job is tried again, where its task does not say.
        retry_after: seconds between its attempts, where its task does not say.
        results: where results are kept: ``sqlite`` (a file in the run directory),
            ``sqlite:///path``, ``django`` or ``django:alias`` (a database of the Django
            project), ``memory``, ``none``, or the dotted path of a function that is called
            with the settings and returns a store.
        save_limit: how many successes are kept; 0 for all, -1 for none.
        failure_limit: how many failures are kept; 0 for all.
        save_limit_per: ``group``, ``name`` or ``function``: each has the limit for itself.
        schedules: what ``[schedules.NAME]`` say, by name; `gearfleet.schedule` reads them.
        schedule_store: where schedules are kept: ``sqlite`` (a file in `root`),
            ``sqlite:///path``, ``django`` (the database of the Django project), or the dotted
            path of a function that is called with the settings and returns a store.
        time_zone: of schedules that name none.
        quarantine_after: how many workers may die while they run a job until it is run no
            more; 0 for any number.
        release: name of the code's release; empty for the commit of its git work tree.
        template_dir: templates here are used before the built-in ones.
        run_dir: where the workers of this host keep what they tell about themselves.
        name: of the fleet, put before programs and groups; empty for none.
        layers: program options of the project.
        groups: what the settings say of groups, beyond that each queue has one.
        hosts: program options of single hosts and roles, and how their supervisord is reached.
        root: the project's directory: imports start and programs run there.
        origin: what the settings were read from, for messages and headers.
        rendered_environment: variables that a worker needs to see the same settings.
        sources: where each of these comes from, by its name; what is not there is a default.
    """

    apps: tuple[str, ...] = ()
    servers: tuple[str, ...] = DEFAULT_SERVERS
    prefix: str | Callable[[str], str] = ""
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    client_timeout: float = 60.0
    worker_servers: tuple[str, ...] = ()
    always_eager: bool = False
    disabled: bool = False
    send_failure: str = "raise"
    signing_keys: tuple[str, ...] = field(default=(), repr=False)
    compress_above: int = 0
    max_payload_bytes: int = DEFAULT_MAX_PAYLOAD_BYTES
    retries: int = 0
    retry_after: float = 5.0
    results: str = "sqlite"
    save_limit: int = 250
    failure_limit: int = 10_000
    save_limit_per: Literal["", "group", "name", "function"] = ""
    schedules: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    schedule_store: str = "sqlite"
    time_zone: str = "UTC"
    quarantine_after: int = 3
    release: str = ""
    template_dir: Path | None = None
    run_dir: Path = field(default_factory=default_run_dir)
    name: str = ""
    layers: Layers = field(default_factory=Layers)
    groups: Mapping[str, GroupSettings] = field(default_factory=dict)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    root: Path = field(default_factory=Path.cwd)
    origin: str = DEFAULTS_ORIGIN
    rendered_environment: Mapping[str, str] = field(default_factory=dict)
    sources: Mapping[str, str] = field(default_factory=dict, compare=False)

    def changed(self, source: str, **values: Any) -> Settings:
        """Return the settings with `values`, which come from `source`."""
        sources = {**self.sources, **dict.fromkeys(values, source)}
        return replace(self, **values, sources=sources)

    def layers_of(self, host: str | None) -> tuple[tuple[str, Layers], ...]:
        """Return the layers that hold on `host`, the weakest first, each with its key's path."""
        found = [("", self.layers)]
        here = self.hosts.get(host) if host is not None else None
        if here and here.role:
            found.append((f"hosts.{toml_key(here.role)}.", self.hosts[here.role].layers))
        if here and host:
            found.append((f"hosts.{toml_key(host)}.", here.layers))
        return tuple(found)

    def cpus_of(self, host: str | None) -> int | None:
        """Return how many CPUs the settings say that `host` has."""
        here = self.hosts.get(host) if host is not None else None
        role = self.hosts.get(here.role) if here and here.role else None
        return next((each.cpus for each in (here, role) if each and each.cpus), None)

    def hosts_named(self, name: str) -> tuple[str, ...]:
        """Return the hosts with a supervisord that `name` means: one, those of a role, or ``all``.

        None, where none of them has one.

        Raises:
            UnknownName: no host or role is called so; the message lists those that are.
        """
        reachable = {host: item for host, item in self.hosts.items() if item.url}
        if name == ALL_HOSTS:
            return tuple(reachable)
        if name in reachable:
            return (name,)
        if name in self.hosts:
            return tuple(host for host, item in reachable.items() if item.role == name)
        raise UnknownName.of("host", name, [ALL_HOSTS, *reachable, *self._roles()])

    def _roles(self) -> list[str]:
        return list(dict.fromkeys(host.role for host in self.hosts.values() if host.role))

    @property
    def servers_of_workers(self) -> tuple[str, ...]:
        """The job servers that the workers connect to."""
        return self.worker_servers or self.servers

    @property
    def has_origin(self) -> bool:
        """Whether somebody wrote settings, so that these are not just the defaults."""
        return self.origin != DEFAULTS_ORIGIN
