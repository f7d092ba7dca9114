"""TLS as a value, and OpenSSL's complaints in our words."""

from __future__ import annotations

import os
import pickle
import ssl
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from gearfleet.errors import LocalProtocolError, TLSError
from gearfleet.gearman.handshake import TLSSocket
from gearfleet.gearman.tls import TLS, explain
from tests.support.certificates import Authority
from tests.support.processes import ROOT

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "authority")


def test_context__verifies_certificate_and_host(authority: Authority) -> None:
    context = TLS(ca_certs=authority.ca_certs).make_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert len(context.get_ca_certs()) == 1


def test_context__read_again_only_when_a_file_has_changed(authority: Authority) -> None:
    tls = TLS(ca_certs=authority.ca_certs)
    before = tls.make_context()
    assert tls.make_context() is before
    os.utime(authority.ca_certs, ns=(1, 1))
    assert tls.make_context() is not before


def test_context__the_callers_own_is_used_as_it_is() -> None:
    own = ssl.create_default_context()
    assert TLS(context=own).make_context() is own
    with pytest.raises(LocalProtocolError, match="not both"):
        TLS(context=own, ca_certs="ca.pem")


def test_files__named_when_they_cannot_be_used(authority: Authority, tmp_path: Path) -> None:
    good = authority.good
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    for tls in (
        TLS(ca_certs=str(tmp_path / "missing")),
        TLS(ca_certs=str(rubbish)),
        TLS(certfile=good.certfile, keyfile=str(rubbish)),
        TLS(certfile=good.certfile, keyfile=authority.certify("other", "DNS:x").keyfile),
    ):
        named = tls.keyfile or tls.ca_certs
        assert named is not None
        with pytest.raises(LocalProtocolError, match=named):
            tls.make_context()


def test_key_with_a_password__is_refused_and_not_asked_for(
    authority: Authority, tmp_path: Path
) -> None:
    locked = tmp_path / "locked.key"
    subprocess.run(
        [
            *("openssl", "pkey", "-aes256", "-passout", "pass:secret"),
            *("-in", authority.good.keyfile, "-out", str(locked)),
        ],
        check=True,
        capture_output=True,
    )
    with pytest.raises(LocalProtocolError, match=r"locked\.key has a password"):
        TLS(certfile=authority.good.certfile, keyfile=str(locked)).make_context()


def test_key_without_a_certificate__is_refused() -> None:
    with pytest.raises(LocalProtocolError, match=r"own\.key has no certificate"):
        TLS(keyfile="own.key")


def test_value__equal_by_its_files_and_picklable() -> None:
    assert TLS(ca_certs="a") == TLS(ca_certs="a") != TLS(ca_certs="b")
    assert pickle.loads(pickle.dumps(TLS(ca_certs="a"))) == TLS(ca_certs="a")


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "give certfile and keyfile"),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", "give certfile and keyfile"),
        ("TLSV1_ALERT_UNKNOWN_CA", "refuses our certificate"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "refuses our certificate"),
        ("TLSV1_ALERT_PROTOCOL_VERSION", "no TLS version is known to both"),
        ("WRONG_VERSION_NUMBER", "does not speak TLS on this port"),
        ("UNEXPECTED_EOF_WHILE_READING", "hung up in the handshake"),
    ],
)
def test_explain__gives_the_fix_and_openssls_word(reason: str, advice: str) -> None:
    error = ssl.SSLError(1, "openssl's text")
    error.reason = reason
    assert advice in explain(error)
    assert reason in explain(error)


def test_explain__passes_on_what_it_does_not_know() -> None:
    assert explain(OSError(5, "Input/output error")) == "Input/output error"
    assert "hung up" in explain(ConnectionResetError())


class _Breaking:
    """Stands in for an SSLSocket: it takes and gives two records, and is reset then."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self._given = 0

    def send(self, data: bytes) -> int:
        if len(self.taken) == 2:
            raise ConnectionResetError(104, "Connection reset by peer")
        self.taken.append(bytes(data))
        return len(data)

    def recv(self, limit: int) -> bytes:
        if self._given == 2:
            raise ConnectionResetError(104, "Connection reset by peer")
        self._given += 1
        return b"record"

    def pending(self) -> int:
        return 0


def test_socket__tells_what_was_written_before_it_broke() -> None:
    """Else a job that the job server has would be submitted to another one."""
    breaking = _Breaking()
    sock = TLSSocket(breaking)  # type: ignore[arg-type]
    data = bytes(50_000)
    assert sock.send(data) == 2 * 16 * 1024 == len(b"".join(breaking.taken))
    with pytest.raises(TLSError, match="right after the TLS handshake"):
        sock.send(data)


def test_socket__gives_what_came_before_it_broke() -> None:
    sock = TLSSocket(_Breaking())  # type: ignore[arg-type]
    assert sock.recv(65536) == b"recordrecord"
    with pytest.raises(ConnectionResetError):
        sock.recv(65536)


def test_import__of_the_layer_loads_neither_tls_nor_asyncio() -> None:
    look = (
        "import sys, gearfleet.gearman as g; g.GearmanClient, g.GearmanWorker; "
        "print({'asyncio', 'ssl'} & set(sys.modules)); "
        "g.AsyncGearmanClient; print('asyncio' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", look], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout.split("\n")[:2] == ["set()", "True"]
