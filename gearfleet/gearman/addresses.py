"""Where a job server listens: every form in which users write it, as one value."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gearfleet.errors import LocalProtocolError
from gearfleet.gearman.protocol import DEFAULT_PORT
from gearfleet.gearman.tls import TLS

if TYPE_CHECKING:
    from collections.abc import Iterable

_FORMS = (
    "use 'host', 'host:port', '[v6]:port', 'tls://host:port?ca_certs=FILE', ('host', port), "
    "or a dict of host, port, keyfile, certfile and ca_certs"
)
_KEYS = ("host", "port")
_TLS_KEYS = ("keyfile", "certfile", "ca_certs")


@dataclass(frozen=True, slots=True)
class Address:
    """The host and port of one job server, and whether to speak TLS with it."""

    host: str
    port: int = DEFAULT_PORT
    tls: TLS | None = None

    def __post_init__(self) -> None:
        if not self.host or any(letter.isspace() for letter in self.host):
            raise LocalProtocolError(f"No host in the job server address {self.host!r}; {_FORMS}")
        if not 0 < self.port < 65536:
            raise LocalProtocolError(f"The port of job server {self.host} is {self.port}; {_FORMS}")

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        # Whoever takes the text for an address must not end up without TLS.
        return f"{'tls://' if self.tls else ''}{host}:{self.port}"

    @classmethod
    def parse(cls, value: AddressLike) -> Address:
        """Return the address that `value` means.

        Raises:
            LocalProtocolError: (a ValueError) the value has none of the forms.

        Example:
            >>> str(Address.parse("[::1]:4731")), str(Address.parse("queue.example"))
            ('[::1]:4731', 'queue.example:4730')
        """
        if isinstance(value, Address):
            return value
        if isinstance(value, str):
            return cls(*(_split_url(value) if "://" in value else _split(value)))
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str):
            return cls(value[0], _port(value[1], value))
        if isinstance(value, Mapping):
            return cls(*_split_dict(value))
        raise LocalProtocolError(f"Cannot read the job server address {value!r}; {_FORMS}")


AddressLike = Address | str | tuple[str, int] | Mapping[str, Any]


def parse_all(host_list: AddressLike | Iterable[AddressLike] | None) -> tuple[Address, ...]:
    """Return the addresses of a list, or of a single one, each of them once.

    Raises:
        LocalProtocolError: (a ValueError) one has no known form, or its TLS files
            cannot be used.
    """
    if host_list is None:
        return ()
    if isinstance(host_list, str | Address | Mapping):
        host_list = [host_list]
    addresses = tuple(dict.fromkeys(Address.parse(value) for value in host_list))  # type: ignore[arg-type]
    for address in addresses:
        if address.tls is not None:
            address.tls.make_context()
    return addresses


def _split(value: str) -> tuple[str, int]:
    host, port = value.strip(), ""
    if host.startswith("["):
        host, bracket, rest = host[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise LocalProtocolError(f"Cannot read the job server address {value!r}; {_FORMS}")
        port = rest[1:]
    elif host.count(":") == 1:
        host, _, port = host.partition(":")
        if not port:
            raise LocalProtocolError(f"No port after ':' in {value!r}; {_FORMS}")
    return host, _port(port, value) if port else DEFAULT_PORT


def _split_url(value: str) -> tuple[str, int, TLS]:
    """Read 'tls://host:port' with the fields of `TLS` after a question mark."""
    from urllib.parse import parse_qsl

    known = (*_TLS_KEYS, "server_hostname")
    scheme, _, rest = value.strip().partition("://")
    place, _, query = rest.partition("?")
    options: dict[str, Any] = dict(parse_qsl(query, keep_blank_values=True))
    fits = all(key in known and text for key, text in options.items())
    if scheme != "tls" or not fits or set(place) & set("/@#"):
        raise LocalProtocolError(
            f"Cannot read the job server address {value!r}; use "
            f"tls://host:port, with {', '.join(known)} after a '?', joined by '&'"
        )
    return *_split(place), TLS(**options)


def _split_dict(value: Mapping[str, Any]) -> tuple[str, int, TLS | None]:
    """Read python-gearman's dict; with one of the three TLS files it must have all of them."""
    unknown = set(value) - {*_KEYS, *_TLS_KEYS}
    if unknown or not isinstance(value.get("host"), str):
        raise LocalProtocolError(f"Cannot read the job server address {value!r}; {_FORMS}")
    files = {key: os.fspath(value[key]) for key in _TLS_KEYS if value.get(key) is not None}
    missing = [key for key in _TLS_KEYS if key not in files]
    if files and missing:
        # Half of what TLS needs must not end in a connection without it.
        raise LocalProtocolError(
            f"No {' and no '.join(missing)} for TLS with job server {value['host']!r}; "
            "give all three files, or Address(host, port, TLS(...))"
        )
    return (
        value["host"],
        _port(value.get("port", DEFAULT_PORT), value),
        TLS(**files) if files else None,
    )


def _port(port: object, value: object) -> int:
    text = str(port)
    if not (text.isascii() and text.isdigit()):
        raise LocalProtocolError(f"Port {port!r} in {value!r} is not a number; {_FORMS}")
    return int(text)
