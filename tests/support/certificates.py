"""Certificates for tests, made by `openssl` when they are needed, valid for a day."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

INSTALL_OPENSSL = "needs openssl: apt-get install openssl"
_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")


@dataclass(frozen=True)
class Certificate:
    """The files of a certificate and its key, as options of TLS take them."""

    certfile: str
    keyfile: str


class Authority:
    """A certificate authority of its own that nobody knows yet."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = folder / "ca.key"
        self._file = folder / "ca.pem"
        _openssl(
            *("req", "-x509", *_NEW_KEY, "-keyout", self._key, "-out", self._file, "-days", "1"),
            *("-subj", f"/CN=authority of {folder.name}"),
            *("-addext", "basicConstraints=critical,CA:TRUE"),
            *("-addext", "keyUsage=critical,keyCertSign"),
        )

    @property
    def ca_certs(self) -> str:
        return str(self._file)

    @cached_property
    def good(self) -> Certificate:
        """The certificate of a job server on this machine, or of a client."""
        return self.certify("good", "DNS:localhost,IP:127.0.0.1")

    @cached_property
    def expired(self) -> Certificate:
        return self.certify("expired", "DNS:localhost,IP:127.0.0.1", days=-1)

    @cached_property
    def of_another_host(self) -> Certificate:
        return self.certify("elsewhere", "DNS:queue.example")

    def certify(self, name: str, names: str, *, days: int = 1) -> Certificate:
        """Return a certificate for `names`, in OpenSSL's form."""
        key, request, file = (self._folder / f"{name}.{end}" for end in ("key", "csr", "pem"))
        _openssl(
            *("req", *_NEW_KEY, "-keyout", key, "-out", request, "-subj", f"/CN={name}"),
            *("-addext", f"subjectAltName={names}"),
        )
        _openssl(
            *("x509", "-req", "-in", request, "-out", file, "-days", str(days)),
            *("-CA", self._file, "-CAkey", self._key, "-CAcreateserial"),
            *("-copy_extensions", "copy"),
        )
        return Certificate(str(file), str(key))


def _openssl(*arguments: str | Path) -> None:
    if shutil.which("openssl") is None:
        if os.environ.get("CI") == "true":
            pytest.fail(INSTALL_OPENSSL)
        pytest.skip(INSTALL_OPENSSL)
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
