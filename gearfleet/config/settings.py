"""`Settings`: everything that a project tells gearfleet, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gearfleet.config.options import Value
from gearfleet.config.rundir import default_run_dir

#: Options of a program, as one table of the settings gives them.
Options = Mapping[str, Value]

DEFAULT_SERVERS = ("127.0.0.1:4730",)

#: Larger data belongs into a file or a store, and its name into the payload:
#: gearmand keeps every queued payload in memory.
DEFAULT_MAX_PAYLOAD_BYTES = 32 * 1024 * 1024

DEFAULTS_ORIGIN = "built-in defaults"


@dataclass(frozen=True, slots=True, kw_only=True)
class Layers:
    """Program options at three ranks; a program's own beat its queue's, those the fleet's."""

    fleet: Options = field(default_factory=dict)
    queues: Mapping[str, Options] = field(default_factory=dict)
    programs: Mapping[str, Options] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What is different on one host, and where its supervisord listens."""

    url: str | None = None
    layers: Layers = field(default_factory=Layers)


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
            ``sqlite:///path``, ``memory``, ``none``, or the dotted path of a function that
            is called with the settings and returns a store.
        save_limit: how many successes are kept; 0 for all, -1 for none.
        failure_limit: how many failures are kept; 0 for all.
        save_limit_per: ``group``, ``name`` or ``function``: each has the limit for itself.
        quarantine_after: how many workers may die while they run a job until it is run no
            more; 0 for any number.
        release: name of the code's release; empty for the commit of its git work tree.
        template_dir: templates here are used before the built-in ones.
        run_dir: where the workers of this host keep what they tell about themselves.
        name: of the fleet, put before programs and groups; empty for none.
        layers: program options of the project.
        hosts: program options of single hosts, and their supervisord's address.
        root: the project's directory: imports start and programs run there.
        origin: what the settings were read from, for messages and headers.
        rendered_environment: variables that a worker needs to see the same settings.
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
    quarantine_after: int = 3
    release: str = ""
    template_dir: Path | None = None
    run_dir: Path = field(default_factory=default_run_dir)
    name: str = ""
    layers: Layers = field(default_factory=Layers)
    hosts: Mapping[str, Host] = field(default_factory=dict)
    root: Path = field(default_factory=Path.cwd)
    origin: str = DEFAULTS_ORIGIN
    rendered_environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def servers_of_workers(self) -> tuple[str, ...]:
        """The job servers that the workers connect to."""
        return self.worker_servers or self.servers

    @property
    def has_origin(self) -> bool:
        """Whether somebody wrote settings, so that these are not just the defaults."""
        return self.origin != DEFAULTS_ORIGIN
