"""How long results are kept: Django Q's rules."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gearfleet.config import Settings
    from gearfleet.results.record import Sealed, Unsealed

    Kept = TypeVar("Kept", bound=Sealed | Unsealed)

#: What has a limit of its own.
Per = Literal["", "group", "name", "function"]
PER: tuple[Per, ...] = ("", "group", "name", "function")


class Retention(NamedTuple):
    """How many records a store keeps; the oldest go.

    Attributes:
        save_limit: so many successes; 0 keeps all, -1 none.
        failure_limit: so many of the others; 0 keeps all.
        save_limit_per: ``group``, ``name`` or ``function``, each of which then has
            the limit for itself; empty for one limit for all.
    """

    save_limit: int = 250
    failure_limit: int = 10_000
    save_limit_per: Per = ""

    @classmethod
    def of(cls, settings: Settings) -> Retention:
        """Return what `settings` say."""
        return cls(
            save_limit=settings.save_limit,
            failure_limit=settings.failure_limit,
            save_limit_per=settings.save_limit_per,
        )

    def wants_success(self, save: bool | None = None) -> bool:
        """Return whether a success is saved; `save` is what its caller said, None if nothing."""
        return self.save_limit >= 0 if save is None else save

    def limit(self, sealed: Sealed | Unsealed) -> int:
        """Return how many records like `sealed` are kept; 0 for all."""
        if sealed.keep_until:
            return 0
        return max(0, self.save_limit) if sealed.state == "success" else self.failure_limit

    def kind(self, sealed: Sealed | Unsealed) -> tuple[bool, str]:
        """Return what `sealed` shares its limit with: its outcome, and its group, name or function."""
        is_success = sealed.state == "success"
        if not is_success or not self.save_limit_per:
            return is_success, ""
        return is_success, str(getattr(sealed, self.save_limit_per))

    def newest(self, sealed: Iterable[Kept]) -> list[Kept]:
        """Return those of `sealed`, the oldest first, that are within the limits."""
        sealed = list(sealed)
        limits = [limit for limit in (self.save_limit, self.failure_limit) if limit > 0]
        if not limits or len(sealed) <= min(limits):
            return sealed
        seen: Counter[tuple[bool, str]] = Counter()
        kept: list[Kept] = []
        for each in reversed(sealed):
            if limit := self.limit(each):
                kind = self.kind(each)
                seen[kind] += 1
                if seen[kind] > limit:
                    continue
            kept.append(each)
        return kept[::-1]
