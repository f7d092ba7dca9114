"""How a job server is to be reached by TLS, as a value, and what OpenSSL says in our words.

`ssl` is imported only where TLS is used: it would double the memory that this
layer takes in a worker that speaks plain TCP.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gearfleet.errors import LocalProtocolError

if TYPE_CHECKING:
    import ssl

_NOT_TLS = (
    "it does not speak TLS on this port; look at the port, and whether the job server, "
    "or the TLS proxy before it, was started with TLS"
)
_HUNG_UP = f"it hung up in the handshake; perhaps it asks for a certificate of ours, or {_NOT_TLS}"
#: TLS 1.3: our certificate is judged after the handshake has ended for us.
HUNG_UP_AFTER = (
    "it ended the connection right after the TLS handshake; perhaps it asks for a certificate "
    "of ours (certfile, keyfile), or refuses the one that it was shown"
)
_ASKS_FOR_OURS = "it asks for a certificate of ours; give certfile and keyfile"
_REFUSES_OURS = (
    "it refuses our certificate; give one (certfile, keyfile) that its ca_certs vouch for"
)
_UNTRUSTED = (
    "its authority is not trusted; give the file with the authority's certificate as ca_certs"
)
_OTHER_NAME = "connect by a name that its certificate has, or give that name as server_hostname"

#: What to do about OpenSSL's verify codes (X509_V_ERR_*).
_VERIFY_FIXES = {
    9: "look at the clock of this machine and of the one that made the certificate",
    10: "renew it on the job server, or look at the clock of this machine",
    18: _UNTRUSTED,
    19: _UNTRUSTED,
    20: _UNTRUSTED,
    21: _UNTRUSTED,
    62: _OTHER_NAME,
    64: _OTHER_NAME,
}
#: What a part of OpenSSL's reason means.
_REASONS = {
    "CERTIFICATE_REQUIRED": _ASKS_FOR_OURS,
    "HANDSHAKE_FAILURE": f"it refused the handshake: most often {_ASKS_FOR_OURS}",
    "ALERT_UNKNOWN_CA": _REFUSES_OURS,
    "BAD_CERTIFICATE": _REFUSES_OURS,
    "CERTIFICATE_EXPIRED": _REFUSES_OURS,
    "PROTOCOL_VERSION": "no TLS version is known to both sides; 1.2 is the oldest that is taken",
    "UNSUPPORTED_PROTOCOL": "no TLS version is known to both sides; 1.2 is the oldest that is taken",
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "RECORD_LAYER_FAILURE": _NOT_TLS,
    "PACKET_LENGTH": _NOT_TLS,
    "HTTP_REQUEST": _NOT_TLS,
    "EOF": _HUNG_UP,
}
#: gearmand takes a TLS hello for the begin of a text command and waits for its end (F13).
SILENT = f"no answer to the TLS handshake within {{:.3g}} s; most likely {_NOT_TLS}"


@dataclass(frozen=True, slots=True, kw_only=True)
class TLS:
    """The certificates for one job server; its own one is verified in every case.

    The files are read when they are needed and again when they have changed, so
    that renewed certificates are used from the next connection on.

    Attributes:
        ca_certs: a file with the authorities to trust; None means the system's.
        certfile: a file with our own certificate, if the job server asks for one.
        keyfile: a file with its key; None means that it stands in `certfile`.
        server_hostname: the name in the job server's certificate, where it is
            not the host that we connect to.
        context: an `ssl.SSLContext` instead of the files, used as it is. If it
            does not verify the job server, nobody does.
    """

    ca_certs: str | None = None
    certfile: str | None = None
    keyfile: str | None = None
    server_hostname: str | None = None
    context: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        if self.keyfile and not self.certfile:
            raise LocalProtocolError(
                f"The TLS key {self.keyfile} has no certificate; give certfile"
            )
        if self.context is not None and any(self._files):
            raise LocalProtocolError("Give TLS files or an SSLContext, not both")

    def make_context(self) -> ssl.SSLContext:
        """Return the context to connect with.

        Raises:
            LocalProtocolError: (a ValueError) a file cannot be read or used.
        """
        if self.context is not None:
            return self.context
        return _context(self, tuple(_changed_at(name) for name in self._files))

    @property
    def _files(self) -> tuple[str | None, ...]:
        return self.ca_certs, self.certfile, self.keyfile


def explain(error: OSError) -> str:
    """Return why TLS failed and what to do about it."""
    fix = _VERIFY_FIXES.get(getattr(error, "verify_code", 0))
    if fix is not None:
        return f"its certificate was refused, {_lower(getattr(error, 'verify_message', ''))}: {fix}"
    if isinstance(error, ConnectionResetError):
        return _HUNG_UP
    said = getattr(error, "reason", None) or (error.args[-1] if error.args else "")
    known = next((text for part, text in _REASONS.items() if part in str(said)), None)
    return f"{known} ({said})" if known else str(error.strerror or error)


def _lower(message: str) -> str:
    text = message.rstrip(".")
    return text[:1].lower() + text[1:]


def _changed_at(name: str | None) -> int:
    if name is None:
        return 0
    try:
        return Path(name).stat().st_mtime_ns
    except OSError as error:
        raise LocalProtocolError(f"Cannot read the TLS file {name}: {error.strerror}") from error


@functools.lru_cache(maxsize=64)
def _context(tls: TLS, _changed_at: tuple[int, ...]) -> ssl.SSLContext:
    import ssl

    try:
        # Verifies the certificate and its host name, TLS 1.2 or later.
        context = ssl.create_default_context(cafile=tls.ca_certs)
    except (OSError, ValueError) as error:
        raise LocalProtocolError(f"Cannot use the TLS file {tls.ca_certs}: {error}") from error
    context.options |= ssl.OP_NO_RENEGOTIATION
    if tls.certfile is not None:
        _load_own(context, tls.certfile, tls.keyfile)
    return context


def _load_own(context: ssl.SSLContext, certfile: str, keyfile: str | None) -> None:
    def refuse_to_ask() -> str:
        # Without this OpenSSL asks on the terminal, which a daemon does not have.
        raise LocalProtocolError(
            f"The TLS key {keyfile or certfile} has a password; give an SSLContext instead"
        )

    try:
        context.load_cert_chain(certfile, keyfile, password=refuse_to_ask)
    except OSError as error:
        files = certfile if keyfile is None else f"{certfile} and {keyfile}"
        raise LocalProtocolError(f"Cannot use the TLS files {files}: {error}") from error
