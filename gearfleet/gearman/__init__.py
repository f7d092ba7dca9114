"""python-gearman's API on Python 3: client, worker and admin client, usable alone.

Bytes in, bytes out; nothing here knows of gearfleet's tasks or settings.
"""

from typing import TYPE_CHECKING, Any

from gearfleet._version import __version__
from gearfleet.errors import (
    AmbiguousSubmit,
    ConnectionError,
    ExceededConnectionAttempts,
    FunctionInUse,
    GearmanError,
    InvalidAdminClientState,
    InvalidClientState,
    InvalidWorkerState,
    JobFailed,
    JobTimeout,
    LocalProtocolError,
    ProtocolError,
    ServerError,
    ServerUnavailable,
    TLSError,
    UnknownCommandError,
)
from gearfleet.gearman import errors
from gearfleet.gearman.addresses import Address
from gearfleet.gearman.admin import GearmanAdminClient
from gearfleet.gearman.client import GearmanClient
from gearfleet.gearman.encoding import DataEncoder
from gearfleet.gearman.jobs import (
    JOB_COMPLETE,
    JOB_CREATED,
    JOB_FAILED,
    JOB_PENDING,
    JOB_QUEUED,
    JOB_UNKNOWN,
    PRIORITY_HIGH,
    PRIORITY_LOW,
    PRIORITY_NONE,
    GearmanJob,
    GearmanJobRequest,
)
from gearfleet.gearman.machine import Timing
from gearfleet.gearman.manager import GearmanConnectionManager
from gearfleet.gearman.status import JobStatus
from gearfleet.gearman.streams import JobData, JobProgress, JobResult, JobStream, JobWarning
from gearfleet.gearman.text import FunctionStatus, KnownJob, PriorityStatus, Version, WorkerStatus
from gearfleet.gearman.tls import TLS
from gearfleet.gearman.worker import GearmanWorker

if TYPE_CHECKING:
    from gearfleet.gearman.aio import AsyncGearmanClient, AsyncJobStream

__all__ = [
    "JOB_COMPLETE",
    "JOB_CREATED",
    "JOB_FAILED",
    "JOB_PENDING",
    "JOB_QUEUED",
    "JOB_UNKNOWN",
    "PRIORITY_HIGH",
    "PRIORITY_LOW",
    "PRIORITY_NONE",
    "TLS",
    "Address",
    "AmbiguousSubmit",
    "AsyncGearmanClient",
    "AsyncJobStream",
    "ConnectionError",
    "DataEncoder",
    "ExceededConnectionAttempts",
    "FunctionInUse",
    "FunctionStatus",
    "GearmanAdminClient",
    "GearmanClient",
    "GearmanConnectionManager",
    "GearmanError",
    "GearmanJob",
    "GearmanJobRequest",
    "GearmanWorker",
    "InvalidAdminClientState",
    "InvalidClientState",
    "InvalidWorkerState",
    "JobData",
    "JobFailed",
    "JobProgress",
    "JobResult",
    "JobStatus",
    "JobStream",
    "JobTimeout",
    "JobWarning",
    "KnownJob",
    "LocalProtocolError",
    "PriorityStatus",
    "ProtocolError",
    "ServerError",
    "ServerUnavailable",
    "TLSError",
    "Timing",
    "UnknownCommandError",
    "Version",
    "WorkerStatus",
    "__version__",
    "errors",
]


def __getattr__(name: str) -> Any:
    # asyncio would make every worker slower to start, and few programs need it.
    if name in {"AsyncGearmanClient", "AsyncJobStream"}:
        from gearfleet.gearman import aio

        return getattr(aio, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
