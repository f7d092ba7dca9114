"""Signatures of payloads: HMAC-SHA256 with the keys of the settings.

A key is derived from each secret, so that a secret with other uses (Django's
SECRET_KEY) signs nothing here that counts there:

    key = HMAC-SHA256(key=secret, message="gearfleet payload")

The first secret signs, all of them verify; so keys are changed without a job
being refused: the new one is first added last everywhere, then put first, then
the old one is taken away.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

SALT = b"gearfleet payload"

#: Of a signature, which is written in hexadecimal digits.
LENGTH = 64


class Keyring:
    """Signs with the first of some secrets, and verifies with all."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Derive the keys of `secrets`, of which there is at least one."""
        keys = [hmac.digest(secret.encode(), SALT, "sha256") for secret in secrets]
        # A copy of a prepared one takes half the time of `hmac.digest`.
        self._prepared = [hmac.new(key, digestmod="sha256") for key in keys]

    def sign(self, *parts: bytes) -> bytes:
        """Return the signature of `parts`, one after the other."""
        return _signature(self._prepared[0], parts)

    def verify(self, signature: bytes, *parts: bytes) -> bool:
        """Return whether one of the keys has signed `parts` so."""
        for prepared in self._prepared:
            if hmac.compare_digest(_signature(prepared, parts), signature):
                return True
        return False


def _signature(prepared: hmac.HMAC, parts: tuple[bytes, ...]) -> bytes:
    signing = prepared.copy()
    for part in parts:
        signing.update(part)
    return signing.hexdigest().encode()
