"""`Meta`: what gearfleet's own client says of a job, beside the arguments of its task."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from gearfleet.errors import PayloadDecodeError
from gearfleet.tasks.typed import shown

if TYPE_CHECKING:
    from collections.abc import Mapping


# Two are made for every job; a NamedTuple takes a third of a frozen dataclass's time.
class Meta(NamedTuple):
    """What gearfleet itself says of a job.

    Attributes:
        id: of the job, the same for all its attempts.
        attempt: 1 for the first.
        enqueued_at: when the client submitted it, in seconds since the epoch.
        waits: whether the caller waits for the result.
        expires: when a job that has not begun is dropped, in seconds since the epoch; 0 for never.
        name: of the job, for people.
        group: of jobs that it belongs to.
        hook: dotted path of what is called when it has ended.
        save: whether its result is stored; None as the settings say.
        chain: what runs when it has succeeded.
        about: what the framework that declared the task keeps of the job; it is written as the
            job goes on, and its further attempts have it too.
    """

    id: str
    attempt: int = 1
    enqueued_at: float = 0.0
    waits: bool = False
    expires: float = 0.0
    name: str = ""
    group: str = ""
    hook: str = ""
    save: bool | None = None
    chain: tuple[Any, ...] = ()
    about: dict[str, Any] | None = None

    @property
    def is_usual(self) -> bool:
        """Whether nothing is said but the id and the moment, as of most jobs."""
        return self[3:] == _SELDOM and self.attempt == 1

    def told(self) -> dict[str, Any]:
        """Return what goes over the wire: what is not the default."""
        told: dict[str, Any] = {"id": self.id}
        for field, value in zip(self._fields[1:], self[1:], strict=True):
            if value != _DEFAULTS[field]:
                told[field] = value
        return told

    def brief(self) -> str:
        """Return `told` as JSON where it is the id and the moment only, as for most jobs; else nothing."""
        job, moment = self.id, self.enqueued_at
        if not self.is_usual or not 0 < moment < _FAR:
            return ""
        # Letters and digits stand for themselves in JSON.
        is_plain = job.isalnum() and job.isascii() and type(moment) is float
        return brief(job, moment) if is_plain else ""


_DEFAULTS: Mapping[str, Any] = Meta._field_defaults

#: The defaults of what is seldom said.
_SELDOM = Meta("")[3:]

#: No number that we send is farther from 0: moments of the next thousands of years, attempts.
_FAR = 2**53

_made = tuple.__new__

_TYPES: Mapping[str, tuple[type, ...]] = {
    "id": (str,),
    "attempt": (int,),
    "enqueued_at": (float, int),
    "waits": (bool,),
    "expires": (float, int),
    "name": (str,),
    "group": (str,),
    "hook": (str,),
    "save": (bool, type(None)),
    "chain": (list,),
    "about": (dict,),
}


def read_meta(table: Any) -> Meta:
    """Read the known keys; a newer gearfleet may send others, which are passed over.

    Raises:
        PayloadDecodeError: it is none, or has a value of the wrong kind.
    """
    if type(table) is dict and len(table) == 2 and "id" in table and "enqueued_at" in table:
        # Of most jobs nothing is said that is seldom said.
        job, moment = table["id"], table["enqueued_at"]
        if type(job) is str and job.isascii() and type(moment) is float and 0 <= moment < _FAR:
            return usual_meta(job, moment)
    return _read_any(table)


def usual_meta(job: str, moment: float) -> Meta:
    """Return the meta of a first attempt of which nothing else is said; `Meta` takes twice the time."""
    return _made(Meta, (job, 1, moment, *_SELDOM))


def brief(job: str, moment: float) -> str:
    """Return the JSON of `usual_meta`, where `job` is made of letters and digits."""
    return f'{{"id":"{job}","enqueued_at":{moment!r}}}'


def _read_any(table: Any) -> Meta:
    if type(table) is not dict or "id" not in table:
        raise PayloadDecodeError(
            "The payload cannot be read: 'meta' must be an object with an 'id'"
        )
    known = {}
    for key, item in table.items():
        if (types := _TYPES.get(key)) is None:
            continue
        if type(item) not in types or not _can_be_kept(item):
            raise PayloadDecodeError(
                f"The payload cannot be read: 'meta' has a wrong {key!r}: {shown(item)}"
            )
        known[key] = item
    if "chain" in known:
        known["chain"] = tuple(known["chain"])
    return Meta(**known)


def _can_be_kept(item: Any) -> bool:
    """Return whether every result store takes `item`: texts are Unicode, numbers not endless."""
    if type(item) is str:
        return item.isascii() or _is_unicode(item)
    return (type(item) is not float and type(item) is not int) or -_FAR < item < _FAR


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
