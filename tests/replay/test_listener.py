"""The proxy's own listener as a destination: TLS with the very certificate of routes.yaml, and a unix socket."""

import ssl
from pathlib import Path

import pytest
import trustme

from strangler.core.listener_settings import Address, CertificateSettings, ListenerSettings, ServerTlsSettings
from tests.replay.rig import of_ports, ok, pair, replayed
from tests.upstreams.servers import Server


def _certified(path: Path, made: trustme.LeafCert) -> tuple[ServerTlsSettings, dict[str, bytes]]:
    text = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    certificate = CertificateSettings(str(path), str(path), ("shop.example",), "ecdsa", 0.0)
    return ServerTlsSettings((certificate,)), {str(path): text}


def _context(made: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.configure_cert(context)
    return context


@pytest.mark.parametrize("is_known", [True, False], ids=["its own", "another"])
async def test_a_listener_with_tls_is_known_by_its_certificate_alone(tmp_path: Path, is_known: bool) -> None:
    authority = trustme.CA()
    its_own, other = authority.issue_cert("shop.example"), authority.issue_cert("shop.example")
    tls, files = _certified(tmp_path / "cert.pem", its_own if is_known else other)
    context = _context(its_own)
    with Server(context, response=ok()) as proxy:
        listener = ListenerSettings(Address("0.0.0.0", proxy.port), tls=tls)
        made = of_ports({"orders": 1}, listeners=(listener,), files=files)
        done = await replayed(tmp_path, [pair()], made, to="proxy")
        assert done.outcomes == [("match", "") if is_known else ("not_comparable", "unavailable")]
        assert len(proxy.requests) == is_known


async def test_a_listener_on_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "proxy.sock"
    with Server(unix_path=path, response=ok()) as proxy:
        listener = ListenerSettings(Address(f"unix:{path}", 0))
        done = await replayed(tmp_path, [pair()], of_ports({"orders": 1}, listeners=(listener,)), to="proxy")
        assert (done.outcomes, len(proxy.requests)) == ([("match", "")], 1)
