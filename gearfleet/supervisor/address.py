"""Where a supervisord listens, from a URL or from a supervisord.conf."""

from __future__ import annotations

import configparser
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from gearfleet.errors import ConfigError, UsageError

HTTP_PORT = 80  # where supervisorctl goes when the URL has no port


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """The URL of one supervisord, and the name and password that it asks for."""

    url: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def from_url(
        cls, url: str, *, username: str | None = None, password: str | None = None
    ) -> Address:
        """Accept ``unix:///path`` and ``http://[user:password@]host[:port]``.

        Raises:
            UsageError: It is neither.
        """
        if url.startswith("unix:///"):
            return cls(url=url, username=username, password=password)
        parts = urlsplit(url)
        return cls(
            url=f"http://{_host_and_port(url, parts)}",
            username=username if username is not None else _decoded(parts.username),
            password=password if password is not None else _decoded(parts.password),
        )

    @classmethod
    def from_config(cls, path: str | Path) -> Address:
        """Return the address that ``supervisorctl -c path`` would use.

        A file without [supervisorctl] still says where its supervisord
        listens: [unix_http_server], then [inet_http_server].

        Raises:
            ConfigError: The file cannot be read, or names no address.
        """
        try:
            return _read(Path(path))
        # configparser alone raises half a dozen kinds for odd input.
        except (ValueError, OSError, configparser.Error) as error:
            raise ConfigError(f"{path} gives no address of a supervisord: {error}") from error


def _host_and_port(url: str, parts: SplitResult) -> str:
    try:
        host, port = parts.hostname, parts.port or HTTP_PORT
    except ValueError:
        host = None
    if parts.scheme != "http" or not host:
        raise UsageError(
            f"'{url}' is no address of a supervisord: "
            "give unix:///path/to/supervisor.sock or http://host:port"
        )
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _decoded(text: str | None) -> str | None:
    return None if text is None else unquote(text)


def _read(path: Path) -> Address:
    from supervisor.options import UnhosedConfigParser

    parser = UnhosedConfigParser()
    with path.open(encoding="utf-8") as file:
        parser.read_file(file)
    if parser.has_section("supervisorctl"):
        return _as_supervisorctl(path)
    return _as_supervisord(path, parser)


def _as_supervisorctl(path: Path) -> Address:
    """Let Supervisor read its own section: defaults, %(here)s, %(ENV_x)s, relative paths."""
    from supervisor.options import ClientOptions

    class Options(ClientOptions):  # type: ignore[misc]
        def get_plugins(self, *_: Any) -> list[Any]:
            return []  # a plugin of somebody else need not be importable here

    section = Options().read_config(str(path.absolute()))
    return Address.from_url(section.serverurl, username=section.username, password=section.password)


def _as_supervisord(path: Path, parser: Any) -> Address:
    from supervisor.options import ServerOptions

    options = ServerOptions()
    options.here = str(path.absolute().parent)
    parser.expansions = options.environ_expansions
    servers = options.server_configs_from_parser(parser)
    for server in sorted(servers, key=lambda server: "file" not in server):
        return Address.from_url(
            _url(server), username=server["username"], password=server["password"]
        )
    raise ValueError("it has no [supervisorctl], [unix_http_server] or [inet_http_server] section")


def _url(server: dict[str, Any]) -> str:
    if "file" in server:
        return f"unix://{server['file']}"
    return f"http://{server['host'] or '127.0.0.1'}:{server['port']}"
