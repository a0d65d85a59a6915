"""Which requests carry credentials, and are not asked for once more by a baseline."""

import pytest

from strangler.core.privacy.request_credentials import has_credentials

PLAIN = [(b"Host", b"shop"), (b"Accept", b"*/*"), (b"X-Request-Id", b"1")]


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        pytest.param([(b"Cookie", b"theme=dark")], b"/a", id="Cookie"),
        pytest.param([(b"cOOKIE", b"")], b"/a", id="its case does not count"),
        pytest.param([(b"Authorization", b"Basic eA==")], b"/a", id="Authorization"),
        pytest.param([(b"Proxy-Authorization", b"x")], b"/a", id="Proxy-Authorization"),
        pytest.param([(b"X-Api-Key", b"1")], b"/a", id="X-Api-Key"),
        pytest.param([(b"X-CSRF-Token", b"1")], b"/a", id="a token"),
        pytest.param([(b"X-Session-Id", b"1")], b"/a", id="a session id"),
        pytest.param([], b"/a?page=2&access_token=x", id="a parameter"),
        pytest.param([], b"/a?api%5Fkey=1", id="a parameter, percent-encoded"),
        pytest.param([], b"/a;b?x=1;token=2", id="a parameter behind a semicolon"),
        pytest.param([], b"http://shop/a?password", id="a parameter without value, in absolute form"),
        pytest.param([], b"/a;jsessionid=1/b", id="a parameter of the path"),
        pytest.param([], b"http://ana:secret@shop/a", id="userinfo"),
        pytest.param([], b"/a?sid=7", id="a session in the query"),
        pytest.param([(b"X-Forwarded-User", b"ana")], b"/a", id="a caller whom a proxy in front names"),
        pytest.param([(b"Client-Cert", b":AA==:")], b"/a", id="a client certificate"),
        pytest.param([(b"X-Amzn-Oidc-Data", b"x")], b"/a", id="claims of a load balancer"),
    ],
)
def test_what_names_or_proves_a_caller_is_a_credential(headers: list[tuple[bytes, bytes]], target: bytes) -> None:
    assert has_credentials([*PLAIN, *headers], target)


@pytest.mark.parametrize(
    ("headers", "target"),
    [
        pytest.param([], b"/a", id="nothing"),
        pytest.param([(b"Referer", b"http://shop/?token=1")], b"/a?page=2&sort=price", id="values do not count"),
        pytest.param([], b"/token/secret;v=1?q=password", id="nor do paths and values of parameters"),
        pytest.param([], b"http://shop/a@b", id="an at sign in the path"),
        pytest.param([], b"/a?next=http://ana:b@shop/", id="a URL in the query"),
        pytest.param([(b"X-Odd\xff", b"\xff")], b"/\xff?\xff=\xff", id="bytes that are no UTF-8"),
    ],
)
def test_all_else_is_none(headers: list[tuple[bytes, bytes]], target: bytes) -> None:
    assert not has_credentials([*PLAIN, *headers], target)
