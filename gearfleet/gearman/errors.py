"""The exceptions of the Gearman layer, at python-gearman's place for them."""

from gearfleet.errors import (
    AmbiguousSubmit,
    ConnectionError,
    ExceededConnectionAttempts,
    GearmanError,
    InvalidAdminClientState,
    InvalidClientState,
    InvalidWorkerState,
    LocalProtocolError,
    ProtocolError,
    ServerError,
    ServerUnavailable,
    TLSError,
    UnknownCommandError,
)

__all__ = [
    "AmbiguousSubmit",
    "ConnectionError",
    "ExceededConnectionAttempts",
    "GearmanError",
    "InvalidAdminClientState",
    "InvalidClientState",
    "InvalidWorkerState",
    "LocalProtocolError",
    "ProtocolError",
    "ServerError",
    "ServerUnavailable",
    "TLSError",
    "UnknownCommandError",
]
