"""Access to the admin listener."""

import pytest

from strangler.control.guard import foreign, has_token, is_loopback, refusal

TOKEN = "s3cret"
LOCAL = {"Host": "localhost:8081"}
BEARER = {"Host": "proxy.example", "Authorization": "Bearer s3cret"}


@pytest.mark.parametrize(
    ("token", "method", "headers", "status"),
    [
        pytest.param(TOKEN, "GET", BEARER, None, id="the token opens"),
        pytest.param(TOKEN, "POST", BEARER, None, id="the token opens for changes"),
        pytest.param(TOKEN, "GET", {**BEARER, "Authorization": "bearer s3cret"}, None, id="the scheme in any case"),
        pytest.param(TOKEN, "GET", LOCAL, 401, id="no token, even from this machine"),
        pytest.param(TOKEN, "GET", {**LOCAL, "Authorization": "Bearer wrong"}, 401, id="a wrong token"),
        pytest.param(TOKEN, "GET", {**LOCAL, "Authorization": "Bearer s3cret2"}, 401, id="a longer token"),
        pytest.param(TOKEN, "GET", {**LOCAL, "Authorization": "Bearer "}, 401, id="an empty token"),
        pytest.param(TOKEN, "GET", {**LOCAL, "Authorization": "Basic s3cret"}, 401, id="another scheme"),
        pytest.param(TOKEN, "GET", {**LOCAL, "Authorization": "Bearer s\udcffcret"}, 401, id="bytes that are no text"),
        pytest.param(None, "GET", LOCAL, None, id="without a token, by a loopback name"),
        pytest.param(None, "GET", {"Host": "rebound.example:8081"}, 403, id="by a foreign name that resolves here"),
        pytest.param(None, "GET", {"Host": "localhost.rebound.example"}, 403, id="by a name that begins like ours"),
        pytest.param(None, "GET", {}, 403, id="without a Host"),
        pytest.param(None, "POST", {**LOCAL, "Origin": "http://localhost:8081"}, None, id="a form of our own page"),
        pytest.param(None, "POST", {**LOCAL, "Origin": "http://evil.example"}, 403, id="a form of another page"),
        pytest.param(None, "POST", {**LOCAL, "Origin": "null"}, 403, id="a form of a page without origin"),
        pytest.param(None, "POST", {**LOCAL, "Origin": "http://localhost:3000"}, 403, id="a page at another port"),
        pytest.param(None, "GET", {**LOCAL, "Origin": "http://evil.example"}, None, id="reading is not changing"),
    ],
)
def test_a_request_passes_or_is_refused(
    token: str | None, method: str, headers: dict[str, str], status: int | None
) -> None:
    refused = refusal(token, method, headers)
    assert (refused[0] if refused else None) == status


@pytest.mark.parametrize(
    ("scheme", "origin", "is_taken"),
    [
        pytest.param("https", "https://ops.example", True, id="ours"),
        pytest.param("https", "http://ops.example", False, id="in clear, where we have TLS"),
        pytest.param("http", "https://ops.example", True, id="with TLS, where a trusted proxy in between has none"),
        pytest.param(None, "http://ops.example", True, id="in clear, where ours is not known"),
        pytest.param(None, "https://ops.example", True, id="with TLS, where ours is not known"),
    ],
)
def test_a_page_with_another_scheme_is_from_elsewhere(scheme: str | None, origin: str, is_taken: bool) -> None:
    refused = foreign(TOKEN, "POST", {"Host": "ops.example", "Origin": origin}, scheme=scheme)
    assert (refused is None) == is_taken
    if refused is not None:
        assert "X-Forwarded-Proto" in refused[1]
        assert foreign(TOKEN, "GET", {"Host": "ops.example", "Origin": origin}, scheme=scheme) is None


@pytest.mark.parametrize(
    ("host", "origin", "more", "is_taken"),
    [
        pytest.param("ops.example", "https://ops.example", [], True, id="the same"),
        pytest.param("OPS.example", "https://ops.example", [], True, id="the host in any case"),
        pytest.param("ops.example", "HTTPS://Ops.Example", [], True, id="the origin in any case"),
        pytest.param("ops.example:443", "https://ops.example", [], True, id="Host with the default port of https"),
        pytest.param("ops.example:80", "http://ops.example", [], True, id="Host with the default port of http"),
        pytest.param("ops.example", "https://ops.example:443", [], True, id="Origin with the default port"),
        pytest.param("[2001:DB8::1]:443", "https://[2001:db8::1]", [], True, id="an IPv6 address"),
        pytest.param("ops.example:80", "https://ops.example", [], False, id="the default port of another scheme"),
        pytest.param("ops.example:8443", "https://ops.example", [], False, id="another port"),
        pytest.param("ops.example", "https://ops.example:8443", [], False, id="another port of the page"),
        pytest.param("ops.example", "https://ops.example.evil", [], False, id="a name that begins like ours"),
        pytest.param("ops.example@evil", "https://evil", [], False, id="a user in Host"),
        pytest.param("ops.example", "file://ops.example", [], False, id="a scheme that is not of the web"),
        pytest.param("ops.example", "https://ops.example:x", [], False, id="a port that is none"),
        pytest.param("ops.example", "https://[", [], False, id="what is no address"),
        pytest.param("10.0.0.1:8081", "https://ops.example", ["ops.example"], True, id="a name that a proxy tells"),
        pytest.param("10.0.0.1:8081", "https://ops.example", ["evil.example"], False, id="another name of a proxy"),
        pytest.param("ops.example", "null", [], False, id="a hidden origin"),
    ],
)
def test_an_origin_is_that_of_the_host_or_not(host: str, origin: str, more: list[str], is_taken: bool) -> None:
    headers = {"Host": host, "Origin": origin, "Authorization": f"Bearer {TOKEN}"}
    assert (refusal(TOKEN, "POST", headers, more) is None) == is_taken


@pytest.mark.parametrize(
    ("token", "host", "origin", "expected"),
    [
        (TOKEN, "127.0.0.1:8081", "https://ops.example", "nginx: `proxy_set_header Host $host;`"),
        (TOKEN, "ops.example", "https://ops.example:8443", "nginx: `proxy_set_header Host $http_host;`"),
        (TOKEN, "ops.example", "null", "Referrer-Policy"),
        (None, "ops.example", "https://ops.example", "Set admin.token"),
        (None, "ops.example", "https://ops.example", "proxy_set_header Host localhost;"),
    ],
)
def test_a_refusal_names_the_cause_and_the_line_that_mends_it(
    token: str | None, host: str, origin: str, expected: str
) -> None:
    refused = foreign(token, "POST", {"Host": host, "Origin": origin})
    assert refused is not None
    assert expected in refused[1]
    assert host in refused[1] or origin == "null"


def test_a_form_with_a_mark_of_its_own_is_not_refused_for_a_hidden_origin() -> None:
    assert foreign(TOKEN, "POST", {"Host": "ops.example", "Origin": "null"}, has_mark=True) is None
    assert foreign(TOKEN, "POST", {"Host": "ops.example", "Origin": "https://evil"}, has_mark=True) is not None


@pytest.mark.parametrize("host", ["localhost", "localhost:8081", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:8081"])
def test_loopback_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "example.com", "127.0.0.1.example.com", "0.0.0.0", "[::2]", "[", "a@localhost.b"])
def test_other_names(host: str) -> None:
    assert not is_loopback(host)


def test_no_token_set_is_a_token_had() -> None:
    assert has_token(None, {})
