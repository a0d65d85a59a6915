"""Where an upstream is, and how TLS towards it begins."""

from pathlib import Path

import pytest

from strangler.config.load import parse
from strangler.config.urls import base_url, server_name
from strangler.core.settings import TlsSettings, Url
from tests.config.files import TODAY, TOP, problems, read, warnings


@pytest.mark.parametrize(
    ("text", "unix_path", "path", "written"),
    [
        ("unix:/run/gunicorn.sock", "/run/gunicorn.sock", "", "unix:/run/gunicorn.sock"),
        ("unix:run/gunicorn.sock", "run/gunicorn.sock", "", "unix:run/gunicorn.sock"),
        ("http+unix://%2Frun%2Fgunicorn.sock", "/run/gunicorn.sock", "", "unix:/run/gunicorn.sock"),
        ("http+unix://%2Frun%2Fa%20b.sock/base/", "/run/a b.sock", "/base", "http+unix://%2Frun%2Fa%20b.sock/base"),
        ("HTTP+UNIX://%2frun%2fA/b", "/run/A", "/b", "http+unix://%2Frun%2FA/b"),
        ("http+unix://run%2Fa", "run/a", "", "unix:run/a"),
    ],
)
def test_a_url_may_name_a_unix_socket(text: str, unix_path: str, path: str, written: str) -> None:
    url = base_url(text)
    assert url == Url("http", "localhost", 80, path, unix_path)
    assert (str(url), url.authority, url.connect_host) == (written, "localhost", f"unix:{unix_path}")
    assert base_url(written) == url


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("unix:", "write the path of the socket's file, such as unix:/run/gunicorn.sock"),
        ("unix:/run/", "write the path of the socket's file"),
        ("unix:@abstract", "write the path of the socket's file"),
        ("unix:///run/a", "the path of the socket follows the colon at once; write"),
        ("unix:/run/a:/base", "for a path behind the socket write http+unix://%2Frun%2Fgunicorn.sock/base"),
        ("http+unix:/run/a", "write the path of the socket's file"),
        ("http+unix:///run/a", "the path of the socket is percent-encoded; write http+unix://%2Frun"),
        ("http+unix://%2Frun%2Fa?b=1", "a base URL cannot have a query or a fragment"),
        ("http+unix://%2Frun%ff", "must be UTF-8"),
        ("http+unix://%2Frun%00", "write the path of the socket's file"),
        ("http+unix://%2Frun%2Fä", "a URL has only visible ASCII characters"),
        ("http://unix:/run/a:/base", "write the path of the socket's file"),
        ("https+unix://%2Frun%2Fa", "a unix socket is reached without TLS; write"),
    ],
)
def test_other_forms_of_sockets_are_refused_with_the_right_one(text: str, complaint: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - the message is that of the problem below
        base_url(text)
    (problem,) = problems(TOP.replace("http://127.0.0.1:8001", text))
    assert complaint in problem


def test_paths_of_sockets_start_at_the_folder_of_routes_yaml(tmp_path: Path) -> None:
    text = TOP.replace('url: "http://127.0.0.1:8001"', 'urls: ["unix:run/a", "unix:/run/b", "http://c"]')
    loaded = parse(text, "f", {}, TODAY, path=tmp_path / "routes.yaml")
    assert loaded.settings is not None, loaded.problems
    paths = [url.unix_path for url in loaded.settings.upstreams["orders"].urls]
    assert paths == [str(tmp_path / "run/a"), "/run/b", None]


@pytest.mark.parametrize("key", ["url: %s", "urls: [http://b, %s]"])
def test_a_path_that_the_system_does_not_take_is_an_error(key: str, tmp_path: Path) -> None:
    text = TOP.replace('url: "http://127.0.0.1:8001"', key % f'"unix:{"x" * 120}"')
    loaded = parse(text, "f", {}, TODAY, path=tmp_path / "routes.yaml")
    (problem,) = loaded.problems
    assert loaded.settings is None
    assert "upstream 'orders': the path of the socket has" in str(problem)
    assert "and the system allows 107" in str(problem)
    assert str(problem).startswith("f:4:")


@pytest.mark.parametrize("url", ["unix:/run/../run/s.sock", "http+unix://%2Frun%2Fs.sock/base"])
def test_a_socket_of_the_proxy_itself_is_no_upstream(url: str) -> None:
    found = problems(TOP.replace("http://127.0.0.1:8001", url) + 'listen: "unix:/run/s.sock"\n')
    assert ["that is the proxy's own listen address" in problem for problem in found] == [True]
    assert problems(TOP.replace("http://127.0.0.1:8001", "unix:/run/t.sock") + 'listen: "unix:/run/s.sock"\n') == []


def test_nor_is_one_that_is_named_once_from_the_folder_of_routes_yaml(tmp_path: Path) -> None:
    text = TOP.replace("http://127.0.0.1:8001", "unix:run/s.sock") + f'listen: "unix:{tmp_path}/run/s.sock"\n'
    loaded = parse(text, "f", {}, TODAY, path=tmp_path / "routes.yaml")
    (problem,) = loaded.problems
    assert str(problem).startswith(
        "f:4:17: upstream 'orders': url is 'unix:run/s.sock'; that is the proxy's own listen"
    )


def test_a_final_dot_does_not_hide_the_proxy_itself() -> None:
    assert "own admin.listen address" in problems(TOP.replace("127.0.0.1:8001", "localhost.:8081"))[0]


def test_two_upstreams_on_one_socket_may_be_a_mistake() -> None:
    text = TOP.replace("http://127.0.0.1:8000", "unix:/run/a").replace("http://127.0.0.1:8001", "unix:/run/a")
    assert any("upstream 'legacy' has the same URL" in warning for warning in warnings(text))


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("{}", TlsSettings(None, True)),
        ("{ca: a.pem, cert: b.pem, key: b.key}", TlsSettings("a.pem", True, "b.pem", "b.key")),
        ("{cert: both.pem}", TlsSettings(None, True, "both.pem", "both.pem")),
        ("{server_name: Orders.Internal.}", TlsSettings(None, True, server_name="orders.internal")),
        ("{server_name: null}", TlsSettings(None, True)),
    ],
)
def test_the_keys_of_tls(written: str, expected: TlsSettings) -> None:
    loaded = read(TOP.replace('"http://127.0.0.1:8001"', f'"https://a", tls: {written}'))
    assert loaded.settings is not None, loaded.problems
    assert loaded.settings.upstreams["orders"].tls == expected


@pytest.mark.parametrize("text", ["https://a", "a:443", "a b", "[::1]", "-", "ä", "a/b"])
def test_a_server_name_is_a_bare_name(text: str) -> None:
    with pytest.raises(ValueError, match="it must be a name such as orders"):
        server_name(text)


def test_a_key_needs_its_certificate() -> None:
    (problem,) = problems(TOP.replace('"http://127.0.0.1:8001"', '"https://a", tls: {key: a.key}'))
    assert problem.startswith("f:4:36: upstream 'orders': tls.key is there without tls.cert; name the certificate")


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ('url: "unix:/run/a", tls: {cert: a.pem}', "tls has no effect; no URL starts with https://"),
        ('url: "http://a", tls: {server_name: b}', "tls has no effect"),
        ("urls: [https://a, http://b], tls: {cert: a.pem}", "tls.cert is not sent to a URL without TLS"),
        ('url: "https://a", tls: {verify: false, ca: a.pem}', "tls.ca has no effect; the certificate is not checked"),
        ('url: "https://a", tls: {verify: false, server_name: b}', "tls.server_name does not protect"),
    ],
)
def test_keys_of_tls_that_do_nothing_are_warned_of(changed: str, expected: str) -> None:
    found = warnings(TOP.replace('url: "http://127.0.0.1:8001"', changed))
    assert any(expected in warning for warning in found), found


@pytest.mark.parametrize(
    ("text", "authority", "name", "written"),
    [
        ("http://orders.internal.", "orders.internal", "orders.internal", "http://orders.internal."),
        (
            "https://orders.internal.:8443/b",
            "orders.internal:8443",
            "orders.internal",
            "https://orders.internal.:8443/b",
        ),
        ("https://[::1]:8443", "[::1]:8443", "::1", "https://[::1]:8443"),
    ],
)
def test_a_final_dot_is_for_dns_only(text: str, authority: str, name: str, written: str) -> None:
    url = base_url(text)
    assert (url.authority, url.server_name, str(url)) == (authority, name, written)
