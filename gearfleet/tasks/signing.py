"""Signatures of payloads: HMAC-SHA256 with the keys of the settings.

A key is derived from each secret, so that a secret with other uses (Django's
SECRET_KEY) signs nothing here that counts there:

    key = HMAC-SHA256(key=secret, message="gearfleet payload")

The first secret signs, all of them verify; so keys are changed without a job
being refused: the new one is first added last everywhere, then put first, then
the old one is taken away.

All payloads of a function begin alike, so that beginning is hashed once, with the
key: see `Seal`.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SALT = b"gearfleet payload"

#: Of a signature, which is written in hexadecimal digits.
LENGTH = 64


class Keyring:
    """Signs with the first of some secrets, and verifies with all."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Derive the keys of `secrets`, of which there is at least one."""
        keys = [hmac.digest(secret.encode(), SALT, "sha256") for secret in secrets]
        self._keyed = [hmac.new(key, digestmod="sha256") for key in keys]

    def seal(self, start: bytes) -> Seal:
        """Return what signs and verifies messages that begin with `start`."""
        return Seal([_signer(keyed, start) for keyed in self._keyed])


class Seal:
    """Signs and verifies messages with one beginning, of which it is given the rest.

    Attributes:
        sign: returns the signature of a message.
    """

    __slots__ = ("_others", "sign")

    def __init__(self, signers: Sequence[Callable[[bytes], bytes]]) -> None:
        """Sign with the first of `signers`; verify with all of them."""
        self.sign, *self._others = signers

    def verify(self, signature: bytes, rest: bytes) -> bool:
        """Return whether one of the keys has signed the message so."""
        if hmac.compare_digest(self.sign(rest), signature):
            return True
        return any(hmac.compare_digest(sign(rest), signature) for sign in self._others)


def _signer(keyed: hmac.HMAC, start: bytes) -> Callable[[bytes], bytes]:
    """Return what makes the signature of `start` and the rest that it is given.

    To copy what has seen the key takes less time than `hmac.digest`, which begins with it.
    """
    begun = keyed.copy()
    begun.update(start)

    def sign(rest: bytes) -> bytes:
        signing = begun.copy()
        signing.update(rest)
        return signing.hexdigest().encode()

    return sign
