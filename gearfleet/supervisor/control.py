"""A supervisord under control, over its stock XML-RPC interface.

Every request has a deadline: supervisor's own transport has none and hangs for
as long as the daemon is busy. What can go wrong is mapped here, once.
"""

from __future__ import annotations

import base64
import http.client
import socket
import xmlrpc.client
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from gearfleet.errors import SupervisorError, SupervisorUnreachable
from gearfleet.supervisor.address import Address
from gearfleet.supervisor.processes import Limits, Process, Refusal, namespec

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator, Sequence
    from pathlib import Path

# supervisor.xmlrpc.Faults, without the 0.1 s of importing supervisor.
UNKNOWN_METHOD = 1
SHUTDOWN_STATE = 6
NO_FILE = 20
SPAWN_ERROR = 50
ALREADY_STARTED = 60
NOT_RUNNING = 70

UNAUTHORIZED = 401

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class Supervisor:
    """One supervisord.

    Example:
        >>> control = Supervisor(Address.from_url("unix:///run/supervisor.sock"))
        >>> control.processes("bar")                                # doctest: +SKIP
        (Process(group='bar', name='worker_bar_00', state=<State.RUNNING: 'RUNNING'>, ...), ...)

    Every method raises `SupervisorUnreachable` when nothing answers within
    `timeout` seconds and `SupervisorError` when the answer is a fault.
    """

    def __init__(self, address: Address, *, timeout: float = 10.0) -> None:
        self.address = address
        self.timeout = timeout
        self._transport = _Transport(address, timeout)
        self._proxy = xmlrpc.client.ServerProxy("http://localhost", transport=self._transport)

    @classmethod
    def from_url(cls, url: str, *, timeout: float = 10.0) -> Supervisor:
        return cls(Address.from_url(url), timeout=timeout)

    @classmethod
    def from_config(cls, path: str | Path, *, timeout: float = 10.0) -> Supervisor:
        return cls(Address.from_config(path), timeout=timeout)

    def __repr__(self) -> str:
        return f"<Supervisor {self.address.url}>"

    @property
    def is_here(self) -> bool:
        """Whether it runs on this host, so that its workers' boards can be read."""
        url = self.address.url
        return url.startswith("unix://") or urlsplit(url).hostname in LOOPBACK

    def processes(self, group: str | None = None) -> tuple[Process, ...]:
        """Return all processes, or those of `group`, in supervisord's order."""
        infos = self._call("supervisor.getAllProcessInfo")
        return tuple(Process.from_info(info) for info in infos if group in (None, info["group"]))

    def pid(self) -> int:
        """Return the process id of supervisord itself."""
        return int(self._call("supervisor.getPID"))

    def processes_named(self, names: Sequence[str]) -> tuple[Process, ...]:
        """Return those of the named processes that there are; quick where there are many others."""
        answers = self._each("supervisor.getProcessInfo", names)
        return tuple(Process.from_info(info) for _, info in answers if "faultCode" not in info)

    def limits(self) -> dict[str, Limits]:
        """Return by process what the configuration that was read last says of it."""
        return {
            namespec(config["group"], config["name"]): Limits(
                startsecs=config["startsecs"],
                stopwaitsecs=config["stopwaitsecs"],
                command=config["command"],
                directory="" if config["directory"] == "none" else config["directory"],
            )
            for config in self._call("supervisor.getAllConfigInfo")
        }

    def stop(self, names: Sequence[str]) -> tuple[Refusal, ...]:
        """Tell processes to stop, do not wait, and return those that were refused.

        One that has ended meanwhile is not a refusal.
        """
        return self._for_each("supervisor.stopProcess", names, fine={NOT_RUNNING})

    def start(self, names: Sequence[str]) -> tuple[Refusal, ...]:
        """Tell processes to start, do not wait, and return those that were refused.

        One that was started meanwhile is not a refusal, nor is one that ended at
        once: it is in BACKOFF now, and its spawnerr says why.
        """
        fine = {ALREADY_STARTED, SPAWN_ERROR}
        return self._for_each("supervisor.startProcess", names, fine=fine)

    def call(self, method: str, *params: Any) -> Any:
        """Call a method that has no name here, such as one of an extension."""
        return self._call(method, *params)

    def signal(self, names: Sequence[str], signal: str) -> tuple[Refusal, ...]:
        """Send a signal, such as ``HUP``, to processes; return those that were refused."""
        return self._for_each("supervisor.signalProcess", names, signal, fine=())

    def log_sizes(self, names: Sequence[str]) -> dict[str, int]:
        """Return how many bytes the log of each process has; 0 also where there is none."""
        answers = self._each("supervisor.tailProcessStdoutLog", names, 0, 0)
        return {name: answer[1] for name, answer in answers if not isinstance(answer, dict)}

    def without_log(self, names: Sequence[str]) -> tuple[Refusal, ...]:
        """Return those processes of which supervisord has no log that it could send."""
        return _refusals(self._each("supervisor.readProcessStdoutLog", names, 0, 1), only={NO_FILE})

    def read_log(self, name: str, offset: int, length: int) -> str:
        """Return a part of the log of a process."""
        return str(self._call("supervisor.readProcessStdoutLog", name, offset, length))

    def _for_each(
        self, method: str, names: Sequence[str], argument: Any = False, *, fine: Container[int]
    ) -> tuple[Refusal, ...]:
        if not names:
            return ()
        return _refusals(self._each(method, names, argument), fine=fine)

    def _each(self, method: str, names: Sequence[str], *more: Any) -> list[tuple[str, Any]]:
        """Call a method for each name; return the answers, a dict for what was refused."""
        calls = [{"methodName": method, "params": [name, *more]} for name in names]
        return list(zip(names, self._call("system.multicall", calls), strict=True))

    def _call(self, method: str, *params: Any) -> Any:
        # A connection for each request: nothing has to be closed by the caller, and
        # none is found dead after supervisord was reloaded.
        with _mapped(self), closing(self._transport):
            return getattr(self._proxy, method)(*params)


def _refusals(
    answers: Iterable[tuple[str, Any]],
    *,
    fine: Container[int] = (),
    only: Container[int] | None = None,
) -> tuple[Refusal, ...]:
    """Return what a multicall was refused, without what is `fine`, or `only` for these reasons."""
    return tuple(
        Refusal(name=name, code=answer["faultCode"], text=answer["faultString"])
        for name, answer in answers
        if isinstance(answer, dict)
        and answer["faultCode"] not in fine
        and (only is None or answer["faultCode"] in only)
    )


@contextmanager
def _mapped(control: Supervisor) -> Iterator[None]:
    """Turn everything that the way to a supervisord can raise into our two errors."""
    url = control.address.url
    try:
        yield
    except xmlrpc.client.Fault as fault:
        raise SupervisorError(_explained(url, fault)) from fault
    except xmlrpc.client.ProtocolError as error:
        raise SupervisorError(_refused(url, error)) from error
    except TimeoutError as error:
        raise SupervisorUnreachable(
            f"The supervisord at {url} did not answer within {control.timeout:g} s."
        ) from error
    except PermissionError as error:
        raise SupervisorUnreachable(
            f"No access to the supervisord at {url}: {error.strerror}. "
            "Run this as a user who may open its socket."
        ) from error
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise SupervisorUnreachable(
            f"No supervisord answers at {url}: {reason}. Is it running, and is the address right?"
        ) from error
    except (ExpatError, xmlrpc.client.Error) as error:
        raise SupervisorError(
            f"What answers at {url} is not a supervisord, or its answer is broken: {error}"
        ) from error


def _explained(url: str, fault: xmlrpc.client.Fault) -> str:
    if fault.faultCode == SHUTDOWN_STATE:
        return f"The supervisord at {url} is shutting down or restarting."
    if fault.faultCode == UNKNOWN_METHOD:
        return (
            f"The supervisord at {url} lacks Supervisor's own commands; "
            "add the [rpcinterface:supervisor] section to its configuration."
        )
    return f"The supervisord at {url} refused: {fault.faultString}"


def _refused(url: str, error: xmlrpc.client.ProtocolError) -> str:
    if error.errcode == UNAUTHORIZED:
        return (
            f"The supervisord at {url} wants another user name and password; "
            "give them in [supervisorctl] as username= and password=; for a host of the settings as "
            "username_env and password_env, or in ~/.netrc."
        )
    return f"The supervisord at {url} answered HTTP {error.errcode}: {error.errmsg}"


class _Transport(xmlrpc.client.Transport):
    """XML-RPC over TCP or a unix socket, with a name, a password and a deadline."""

    accept_gzip_encoding = False  # supervisord never compresses

    def __init__(self, address: Address, timeout: float) -> None:
        super().__init__(headers=_headers(address))
        self._address = address
        self._timeout = timeout
        self._open: http.client.HTTPConnection | None = None

    def make_connection(self, _host: Any) -> http.client.HTTPConnection:
        if self._open is None:
            self._open = _connection(self._address.url, self._timeout)
        return self._open

    def getparser(self) -> tuple[Any, Any]:
        parser, unmarshaller = super().getparser()
        return _Tolerant(parser), unmarshaller

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None


class _Tolerant:
    """A parser that passes over what XML forbids: supervisord sends logs with their colours."""

    _FORBIDDEN = bytes(set(range(32)) - set(b"\t\n\r"))

    def __init__(self, parser: Any) -> None:
        self._parser = parser
        self.close = parser.close

    def feed(self, data: bytes) -> None:
        self._parser.feed(data.translate(None, self._FORBIDDEN))


def _headers(address: Address) -> list[tuple[str, str]]:
    if address.username is None or address.password is None:
        return []
    pair = f"{address.username}:{address.password}".encode()
    return [("Authorization", f"Basic {base64.b64encode(pair).decode()}")]


def _connection(url: str, timeout: float) -> http.client.HTTPConnection:
    if url.startswith("unix://"):
        return _UnixConnection(url.removeprefix("unix://"), timeout)
    return http.client.HTTPConnection(url.removeprefix("http://"), timeout=timeout)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
