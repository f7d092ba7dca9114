"""What follows a job, as its payload carries it: the list `Meta.chain`.

A dict with a ``call`` is a step: a job that is submitted when this one has
ended. A dict with a ``whole`` says that this job is one of many whose results
become one list. A dict with a ``keep`` says for how long the result is kept.

Whatever a worker that runs a job again makes of its plan has the same ids, so
that nothing is there twice: the job of a step is named by the chain and the
number of the step.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple

from gearfleet.errors import PayloadDecodeError
from gearfleet.tasks.payload import decode_value, encode_value
from gearfleet.tasks.submission import SubmitOptions, TaskCall

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_DEFAULTS = {field.name: field.default for field in fields(SubmitOptions)}


class Step(NamedTuple):
    """A job that follows another.

    Attributes:
        call: of its task.
        chain: id of the chain.
        number: in it, from 0.
        takes_result: whether the result before it is its first argument.
        runs_always: whether it runs after a failure too.
        keep: seconds for which its result is kept, whatever the limits.
    """

    call: TaskCall
    chain: str
    number: int
    takes_result: bool = False
    runs_always: bool = False
    keep: float = 0.0

    @property
    def job(self) -> str:
        """The id of its job, the same whoever submits it."""
        return job_of(self.chain, self.number)

    def told(self) -> dict[str, Any]:
        """Return the JSON value that a payload carries."""
        name, args, kwargs, options = self.call
        # A text, so that values of all types pass through JSON.
        given = encode_value([tuple(args), dict(kwargs), _given(options)]).decode()
        return {
            "call": name,
            "with": given,
            "chain": self.chain,
            "number": self.number,
            "takes_result": self.takes_result,
            "runs_always": self.runs_always,
            "for": self.keep,
        }

    @classmethod
    def read(cls, told: dict[str, Any]) -> Step:
        """Return the step that `told` tells of."""
        args, kwargs, options = decode_value(told["with"].encode())
        return cls(
            call=TaskCall(told["call"], args, kwargs, SubmitOptions(**options)),
            chain=told["chain"],
            number=told["number"],
            takes_result=told["takes_result"],
            runs_always=told["runs_always"],
            keep=told["for"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """That a job is one of `count`, whose results become one list.

    Attributes:
        whole: id under which the list is kept.
        index: of this job, from 0.
        count: of the jobs.
        name: of the whole, for people.
        group: that the whole belongs to.
        hook: dotted path of what is called with the record of the whole.
    """

    whole: str
    index: int
    count: int
    name: str = ""
    group: str = ""
    hook: str = ""

    def told(self) -> dict[str, Any]:
        """Return the JSON value that a payload carries."""
        return {name: getattr(self, name) for name in self.__slots__}


class Plan(NamedTuple):
    """What follows a job.

    Attributes:
        share: in a list of results.
        keep: seconds for which the result is kept, whatever the limits.
        steps: of a chain, the next one first.
    """

    share: Share | None = None
    keep: float = 0.0
    steps: tuple[Step, ...] = ()

    def told(self) -> tuple[Any, ...]:
        """Return the JSON values for `SubmitOptions.chain`."""
        shares = [self.share.told()] if self.share else []
        keeps = [{"keep": self.keep}] if self.keep else []
        return (*shares, *keeps, *(step.told() for step in self.steps))

    @classmethod
    def read(cls, told: Sequence[Any]) -> Plan:
        """Return the plan that `told`, a payload's, tells of.

        Raises:
            PayloadDecodeError: it tells of none.
        """
        try:
            return cls(
                share=next((Share(**item) for item in told if "whole" in item), None),
                keep=float(next((item["keep"] for item in told if "keep" in item), 0.0)),
                steps=tuple(Step.read(item) for item in told if "call" in item),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise PayloadDecodeError(
                f"The payload cannot be read: 'meta' has a wrong 'chain': {error}"
            ) from error

    def next_call(self, *, is_success: bool, result: Any) -> TaskCall | None:
        """Return the job that follows now, with what follows it; None if there is none."""
        if not self.steps:
            return None
        step, *rest = self.steps
        if not (is_success or step.runs_always):
            return None
        args = (result, *step.call.args) if step.takes_result else step.call.args
        plan = Plan(keep=step.keep, steps=tuple(rest))
        options = replace(step.call.options, id=step.job, chain=plan.told())
        return step.call._replace(args=args, options=options)


def _given(options: SubmitOptions) -> dict[str, Any]:
    """Return the options that a step carries: those of its own that are not the default."""
    values = {name: getattr(options, name) for name in _DEFAULTS if name not in ("id", "chain")}
    return {name: value for name, value in values.items() if value != _DEFAULTS[name]}


def job_of(chain: str, number: int) -> str:
    """Return the id of the job of a step."""
    return blake2b(f"{chain}:{number}".encode(), digest_size=16).hexdigest()


def steps_of(
    calls: Iterable[TaskCall],
    chain: str,
    *,
    pass_results: bool = False,
    stop_on_failure: bool = True,
    keep: float = 0.0,
) -> tuple[Step, ...]:
    """Return `calls` as the steps of the chain with this id."""
    return tuple(
        Step(
            call=call,
            chain=chain,
            number=number,
            takes_result=pass_results and number > 0,
            runs_always=not stop_on_failure,
            keep=keep,
        )
        for number, call in enumerate(calls)
    )
