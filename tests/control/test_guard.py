"""Who may use the admin listener."""

import pytest

from strangler.control.guard import has_token, is_loopback, refusal

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


@pytest.mark.parametrize("host", ["localhost", "localhost:8081", "127.0.0.1", "127.8.9.1:80", "[::1]", "[::1]:8081"])
def test_loopback_names(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "example.com", "127.0.0.1.example.com", "0.0.0.0", "[::2]", "[", "a@localhost.b"])
def test_other_names(host: str) -> None:
    assert not is_loopback(host)


def test_no_token_set_is_a_token_had() -> None:
    assert has_token(None, {})
