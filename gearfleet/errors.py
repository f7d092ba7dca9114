"""Every exception that gearfleet raises on purpose.

The docstring of a class is its default message. ``exit_code`` is what a
command ends with when the exception reaches it (docs/reference/exit-codes.md).

    GearfleetError
      + UsageError                      a wrong name or option on the command line
        - UnknownName                   an app, worker, queue, task or group that does not exist
      + ConfigError                     settings that cannot be used
        - UnrepresentableValue          a value that Supervisor cannot express
        - TemplateError                 a template that does not render
        - InvalidFleet                  Supervisor's parser, or ours, refuses the result
      + DiscoveryError                  the code base of the tasks cannot be used
        - WorkerModuleImportError       a worker module raises when it is imported
        - DuplicateTask                 two tasks have one name
      + TaskDeclarationError            @task on something that cannot be a task
      + PayloadError
        - PayloadEncodeError            (also a TypeError) the caller's value cannot be sent
        - PayloadDecodeError            a received payload cannot be read
          · BadSignature                it is not signed by one of ours
      + JobError                        what a caller hears about one job
        - JobFailed                     the task raised, or the worker refused the job
        - JobTimeout                    (also a TimeoutError) no result within the caller's limit
        - JobRefused                    the job server did not accept the job
        - JobQuarantined                workers died while they ran the job, so it is not run again
      + SoftTimeLimitExceeded           raised in a task that runs longer than it should
      + TimeLimitExceeded               of a job that was ended by force, because it ran too long
      + Retry                           raised by a task: this job should be tried again
        - JobExpired                    the job did not begin before its `expires`
        - BatchFailed                   some jobs of a batch were not accepted
      + ResultStoreUnavailable          what became of jobs cannot be kept, or looked up
      + ScheduleError                   (also a ValueError) a schedule that cannot be meant
      + ScheduleStoreUnavailable        schedules cannot be kept, or looked up
      + SupervisorError                 supervisord refused or failed a request
        - SupervisorUnreachable         no supervisord answers at the address
      + GearmanError                    python-gearman's tree
        - ConnectionError               (also a builtin ConnectionError) one connection broke
          · AmbiguousSubmit             (also an ExceededConnectionAttempts) it broke between a
                                        submit and its answer, and no retry was allowed
          · TLSError                    the two cannot speak TLS with each other
        - ServerUnavailable             no job server of the list can be reached
        - ProtocolError                 the peer sent what the protocol does not allow
          · UnknownCommandError         a command that does not exist, or not in this direction
        - LocalProtocolError            (also a ValueError) we were asked to send such a thing
        - ServerError                   the job server answered ERROR
        - FunctionInUse                 it has jobs or workers and cannot be dropped
        - ExceededConnectionAttempts
        - InvalidClientState
        - InvalidWorkerState
        - InvalidAdminClientState

    JobInterrupted (BaseException)      raised inside a task that has to stop now
"""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gearfleet.tasks import JobHandle
    from gearfleet.tasks.failure import Failure

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_IMPORT = 3
EXIT_UNREACHABLE = 4
EXIT_RECYCLED = 75
EXIT_CONFIG = 78


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the sentences that end a message about an unknown `name`.

    Example:
        >>> did_you_mean("mails", ["mail", "report"])
        "(known: mail, report). Did you mean 'mail'?"
        >>> did_you_mean("x", [])
        '(known: none).'
    """
    names = sorted(known)
    listing = f"(known: {', '.join(names) or 'none'})."
    from difflib import get_close_matches  # only who makes a mistake waits for it

    nearest = get_close_matches(name, names, n=1)
    return f"{listing} Did you mean '{nearest[0]}'?" if nearest else listing


class GearfleetError(Exception):
    """gearfleet could not do what was asked."""

    exit_code: ClassVar[int] = EXIT_FAILED

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class UsageError(GearfleetError):
    """The command line does not make sense; see --help."""

    exit_code = EXIT_USAGE


class UnknownName(UsageError):
    """A name was given that does not exist."""

    @classmethod
    def of(cls, kind: str, name: str, known: Iterable[str]) -> UnknownName:
        """Return the error for `name`, which is no `kind`, with the names that exist."""
        return cls(f"Unknown {kind} '{name}' {did_you_mean(name, known)}")


class ConfigError(GearfleetError):
    """The settings cannot be used."""

    exit_code = EXIT_CONFIG


class UnrepresentableValue(ConfigError):
    """Supervisor's configuration cannot express a value."""


class TemplateError(ConfigError):
    """A template could not be rendered."""


class InvalidFleet(ConfigError):
    """The rendered configuration would not be accepted by Supervisor."""


class DiscoveryError(GearfleetError):
    """The tasks of the code base cannot be used."""

    exit_code = EXIT_IMPORT


class WorkerModuleImportError(DiscoveryError):
    """A worker module could not be imported."""


class DuplicateTask(DiscoveryError):
    """Two tasks have the same name; give one of them another with @task(name=...)."""


class TaskDeclarationError(GearfleetError):
    """Only a function of a module can be a task."""

    exit_code = EXIT_IMPORT


class PayloadError(GearfleetError):
    """A payload cannot be used."""


class PayloadEncodeError(PayloadError, TypeError):
    """A value cannot be sent to a task."""


class PayloadDecodeError(PayloadError):
    """A payload cannot be read."""


class BadSignature(PayloadDecodeError):
    """The job is not signed with one of the signing_keys."""


class JobError(GearfleetError):
    """A job did not end as hoped."""


class JobFailed(JobError):
    """The job failed.

    Attributes:
        failure: type, message and traceback of what the task raised, as its worker told
            them; None where it said nothing.
    """

    def __init__(self, message: str = "The job failed.", *, failure: Failure | None = None) -> None:
        super().__init__(message)
        self.failure = failure


class JobTimeout(JobError, TimeoutError):
    """The job's result did not arrive in time; the job may still be running."""


class JobRefused(JobError):
    """The job server did not accept the job."""


class JobExpired(JobError):
    """The job was dropped, because it had not begun when it expired."""


class JobQuarantined(JobError):
    """Workers died while they ran the job, so it is not run again."""


class SoftTimeLimitExceeded(GearfleetError):
    """The job has not ended within its soft time limit."""


class TimeLimitExceeded(GearfleetError):
    """The job has not ended within its time limit, so its worker was ended by force."""


class Retry(GearfleetError):
    """The task asks to be tried again.

    Example:
        raise Retry("the printer is warming up", after=30)
    """

    def __init__(
        self, message: str = "The task asks to be tried again.", *, after: float | None = None
    ) -> None:
        """Ask for another attempt, if the task has any left.

        Args:
            message: why; the failure has it if no attempt is left.
            after: seconds until then; None as the task's `backoff` says.
        """
        if after is not None and not 0 <= after < float("inf"):
            raise ValueError(f"after must be 0 seconds or more; it is {after!r}")
        super().__init__(message)
        self.after = after


class BatchFailed(JobError):
    """Some jobs of a batch were not accepted.

    Attributes:
        handles: of the jobs, in their order; None for those that were not accepted.
        errors: why not, in the same order; None for those that were.
    """

    def __init__(
        self, handles: Sequence[JobHandle | None], errors: Sequence[Exception | None]
    ) -> None:
        lost = [error for error in errors if error]
        super().__init__(
            f"{len(lost)} of {len(errors)} jobs were not accepted, the first because: {lost[0]}"
        )
        self.handles = list(handles)
        self.errors = list(errors)


class ResultStoreUnavailable(GearfleetError):
    """The results of jobs cannot be kept or looked up."""

    exit_code = EXIT_UNREACHABLE


class ScheduleError(GearfleetError, ValueError):
    """The schedule cannot be used."""


class ScheduleStoreUnavailable(GearfleetError):
    """Schedules cannot be kept or looked up."""

    exit_code = EXIT_UNREACHABLE


class SupervisorError(GearfleetError):
    """supervisord could not do what was asked."""


class SupervisorUnreachable(SupervisorError):
    """No supervisord answers; is it running, and is the address right?"""

    exit_code = EXIT_UNREACHABLE


class GearmanError(GearfleetError):
    """The Gearman layer failed."""


class ConnectionError(GearmanError, builtins.ConnectionError):
    """The connection to a job server broke."""

    exit_code = EXIT_UNREACHABLE


class FunctionInUse(GearmanError):
    """The function has jobs or workers and cannot be dropped."""


class ExceededConnectionAttempts(GearmanError):
    """The job was lost with its connection as often as max_retries allows."""


class AmbiguousSubmit(ConnectionError, ExceededConnectionAttempts):
    """The connection broke before the job server answered; the job may run or may not."""


class TLSError(ConnectionError):
    """No TLS connection to the job server is possible; nothing was sent without TLS."""


class ServerUnavailable(GearmanError):
    """No job server can be reached."""

    exit_code = EXIT_UNREACHABLE


class ProtocolError(GearmanError):
    """The peer sent what the Gearman protocol does not allow."""


class UnknownCommandError(ProtocolError):
    """The peer sent a command that does not exist."""


class LocalProtocolError(GearmanError, ValueError):
    """The Gearman protocol cannot express what was to be sent."""


class ServerError(GearmanError):
    """The job server answered with an error."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(f"{code}: {text}" if text else code)
        self.code = code
        self.text = text


class InvalidClientState(GearmanError):
    """The client was used in a way that its state does not allow."""


class InvalidWorkerState(GearmanError):
    """The worker was used in a way that its state does not allow."""


class InvalidAdminClientState(GearmanError):
    """The job server's answer to an admin command did not come or does not fit."""


class JobInterrupted(BaseException):
    """The worker has to stop now; clean up quickly, the job will run again elsewhere.

    It is no `Exception`, so that ``except Exception`` in a task does not
    swallow it, while ``finally`` blocks and context managers run.
    """
