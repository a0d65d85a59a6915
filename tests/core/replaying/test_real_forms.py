"""Values that real applications make: CSRF tokens, sessions, OAuth tokens, ids of another form on each side."""

import base64
import gzip
import json

import pytest

from strangler.core.compare.model.values import Response
from strangler.core.replaying.learned import CallerValues
from tests.core.replaying.conversations import fields_of, learned, request, response, sent, target_of

UUID = "550e8400-e29b-41d4-a716-446655440000"
OTHER_UUID = "0190163d-8694-739b-aea5-966c26f8ad91"
ULID, OTHER_ULID = "01ARZ3NDEKTSV4RRFFQ69G5FAV", "01BX5ZZKBKACTAV9WEVGEMMVRZ"
_FORM = "application/x-www-form-urlencoded"


def jwt(subject: str) -> str:
    parts = ({"alg": "HS256", "typ": "JWT"}, {"sub": subject, "iat": 1516239022})
    head, claims = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return f"{head}.{claims}.SflKxwRJSMeKKF2QT4fwpMeJf36POk6yJV_adQssw5{subject[:1]}"


def tokens(access: str, refresh: str) -> dict[str, object]:
    return {"access_token": access, "token_type": "Bearer", "expires_in": 3600, "refresh_token": refresh}


def test_a_token_service_with_rotation() -> None:
    old, new = tokens(jwt("ana"), "rt_8xLOxBtZp8aQ1"), tokens(jwt("eve"), "rt_Qm94Zk3nTv7yB")
    values = learned(("/oauth/token", response(old), response(new)))
    assert fields_of(sent(values, headers={"Authorization": f"Bearer {jwt('ana')}"})) == {
        "Authorization": f"Bearer {jwt('eve')}"
    }
    refresh = sent(values, "/oauth/token", "grant_type=refresh_token&refresh_token=rt_8xLOxBtZp8aQ1", kind=_FORM)
    assert refresh.body == b"grant_type=refresh_token&refresh_token=rt_Qm94Zk3nTv7yB"
    later = response(tokens(jwt("bob"), "rt_second1Recorded")), response(tokens(jwt("cid"), "rt_second1Replayed"))
    values = learned(("/oauth/token", response(old), response(new)), ("/oauth/token", *later))
    assert fields_of(sent(values, headers={"Authorization": f"Bearer {jwt('bob')}"})) == {
        "Authorization": f"Bearer {jwt('cid')}"
    }
    assert fields_of(sent(values, headers={"Authorization": f"Bearer {jwt('ana')}"})) == {
        "Authorization": f"Bearer {jwt('eve')}"
    }, "a request that was under way still has the token before"


def test_the_newest_replayed_value_wins() -> None:
    values = learned(
        ("/login", response({"token": "tok_1Recorded99"}), response({"token": "tok_1Replayed11"})),
        ("/login", response({"token": "tok_1Recorded99"}), response({"token": "tok_2Replayed22"})),
    )
    assert target_of(values, "/me?token=tok_1Recorded99") == "/me?token=tok_2Replayed22"


def test_the_id_of_a_created_order_is_used_in_path_query_form_and_body() -> None:
    created = response(status=201, Location="/orders/17"), response(status=201, Location=f"/api/v2/orders/{UUID}")
    values = learned(("/orders", *created))
    assert target_of(values, "/orders/17") == f"/orders/{UUID}"
    assert target_of(values, "/orders/17/items?page=17") == f"/orders/{UUID}/items?page=17"
    assert target_of(values, "/items?order_id=17&x=17") == f"/items?order_id={UUID}&x=17"
    assert target_of(values, "/customers/17") == "/customers/17"
    body = sent(values, "/payments", '{ "orderId" : 17, "amount": 17, "order": {"id": "17"} }', kind="application/json")
    assert body.body.decode() == f'{{ "orderId" : "{UUID}", "amount": 17, "order": {{"id": "{UUID}"}} }}'
    assert dict(body.headers)[b"Content-Length"] == str(len(body.body)).encode()
    form = sent(values, "/payments", "order_id=17&amount=17", kind=_FORM)
    assert form.body.decode() == f"order_id={UUID}&amount=17"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"orders": [17, 3, "17"]}, {"orders": [18, 3, "18"]}),
        ({"order": 17, "customer": 17, "count": 17}, {"order": 18, "customer": 17, "count": 17}),
        ({"a": {"parent_order": 17, "Orders": [[17]]}}, {"a": {"parent_order": 17, "Orders": [[18]]}}),
        ("order=17&count=17&orders=17", "order=18&count=17&orders=18"),
    ],
)
def test_a_field_that_is_called_as_the_thing_has_its_id(before: object, after: object) -> None:
    """Django REST framework and select elements name a reference so, without a word for the id."""
    values = learned(("/orders", response(status=201, Location="/orders/17"), response(Location="/orders/18")))
    kind = _FORM if isinstance(before, str) else ""
    body = sent(values, "/merge", before, kind=kind).body.decode()
    assert body == (after if isinstance(after, str) else json.dumps(after))
    assert target_of(values, "/items?order=17&x=17") == "/items?order=18&x=17"


@pytest.mark.parametrize(
    ("recorded", "replayed"),
    [("17", UUID), (UUID, "17"), (ULID, OTHER_ULID), ("17", "18"), (UUID, OTHER_UUID), ("ord-17", "ord-99")],
)
def test_the_id_in_the_body_of_a_created_order(recorded: str, replayed: str) -> None:
    def side(text: str) -> dict[str, object]:
        return {"id": int(text) if text.isdigit() else text, "state": "open"}

    values = learned(("/api/orders", response(side(recorded)), response(side(replayed))))
    assert target_of(values, f"/orders/{recorded}") == f"/orders/{replayed}"
    body = sent(values, f"/orders/{recorded}", side(recorded), method="PUT").body
    assert json.loads(body) == side(replayed)


def test_ids_that_go_up_by_a_shared_step_are_not_chained() -> None:
    values = learned(
        ("/orders", response({"id": 17}), response({"id": 18})), ("/orders", response({"id": 18}), response({"id": 19}))
    )
    assert target_of(values, "/orders/17?order_id=18") == "/orders/18?order_id=19"
    assert sent(values, "/x", {"order_ids": [17, 18, 17]}).body == b'{"order_ids": [18, 19, 18]}'


def test_rows_in_another_order_teach_nothing() -> None:
    rows = response([{"id": 1}, {"id": 2}]), response([{"id": 2}, {"id": 1}])
    values = learned(("/orders", response({"id": 9}), response({"id": 8})), ("/orders", *rows))
    assert target_of(values, "/orders/1") == "/orders/1"
    assert target_of(values, "/orders/9") == "/orders/8"


def test_what_became_equal_is_forgotten() -> None:
    values = learned(
        ("/orders", response({"id": 17}), response({"id": 18})),
        ("/orders/17", response({"id": 17}), response({"id": 17})),
    )
    assert target_of(values, "/orders/17") == "/orders/17"


def page(token: str, order: int) -> str:
    return f"""<!doctype html><meta name="csrf-param" content="authenticity_token">
    <meta name="csrf-token" content="{token}=m">
    <a href="/orders/{order}/edit">Edit</a>
    <form action="/orders/{order}" method="post"><input type="hidden" name="_method" value="patch">
    <input type="hidden" name="authenticity_token" value="{token}=="><input name="note"></form>"""


def test_rails() -> None:
    pages = page("k3J/9d+Zq1W8sLx0Yv", 4), page("Aa7+/Tt2Rr5Ee8Ww1Q", 7)
    values = learned(("/orders", response(pages[0]), response(pages[1])))
    form = "_method=patch&authenticity_token=k3J%2F9d%2BZq1W8sLx0Yv%3D%3D&note=4"
    done = sent(values, "/orders/4", form, kind=_FORM, method="POST", headers={"X-CSRF-Token": "k3J/9d+Zq1W8sLx0Yv=m"})
    assert done.target == b"/orders/7"
    assert done.body == b"_method=patch&authenticity_token=Aa7%2B%2FTt2Rr5Ee8Ww1Q%3D%3D&note=4"
    assert fields_of(done)["X-CSRF-Token"] == "Aa7+/Tt2Rr5Ee8Ww1Q=m"


def test_django_in_short() -> None:
    """The token of the form is another one at each response; cookie and form have values of their own."""

    def login(cookie: str, field: str) -> tuple[str, list[str]]:
        form = f'<form method="post"><input type="hidden" name="csrfmiddlewaretoken" value="{field}"></form>'
        return form, [f"csrftoken={cookie}; Path=/; SameSite=Lax"]

    (first, cookies), (second, others) = (
        login("Ab1" * 10 + "cd", "Ef2" * 21 + "g"),
        login("Hi3" * 10 + "jk", "Lm4" * 21 + "n"),
    )
    values = learned(
        ("/login/", response(first, Set_Cookie=cookies), response(second, Set_Cookie=others)),
        ("/login/", response(Set_Cookie="sessionid=rec0rdedsession"), response(Set_Cookie="sessionid=repl4yedsession")),
    )
    done = sent(
        values,
        "/login/?next=/",
        "username=ada&csrfmiddlewaretoken=" + "Ef2" * 21 + "g",
        kind=_FORM,
        headers={"Cookie": f"csrftoken={'Ab1' * 10}cd; sessionid=rec0rdedsession; theme=dark"},
    )
    assert done.body.decode() == "username=ada&csrfmiddlewaretoken=" + "Lm4" * 21 + "n"
    assert fields_of(done)["Cookie"] == f"csrftoken={'Hi3' * 10}jk; sessionid=repl4yedsession; theme=dark"


def test_a_cookie_that_one_side_alone_sets_anew() -> None:
    first = ("/a", response(Set_Cookie="sid=recorded1"), response(Set_Cookie="sid=replayed1"))
    values = learned(first, ("/b", response(), response(Set_Cookie="sid=replayed2")))
    assert fields_of(sent(values, headers={"Cookie": "sid=recorded1"})) == {"Cookie": "sid=replayed2"}
    values = learned(first, ("/b", response(Set_Cookie="sid=recorded2"), response()))
    assert fields_of(sent(values, headers={"Cookie": "sid=recorded2"})) == {"Cookie": "sid=replayed1"}


def test_a_short_cookie_is_replaced_in_its_cookie_alone() -> None:
    values = learned(("/", response(Set_Cookie="cart=3"), response(Set_Cookie='cart="8"')))
    done = sent(values, "/carts/3", headers={"Cookie": 'cart="3"; other=3', "X-Count": "3"})
    assert done.target == b"/carts/3"
    assert fields_of(done) == {"Cookie": 'cart="8"; other=3', "X-Count": "3"}


def test_entity_tags_and_dates_of_validators() -> None:
    recorded = response(ETag='"3"', Last_Modified="Mon, 01 Jan 2024 00:00:00 GMT")
    replayed = response(ETag='W/"c4"', Last_Modified="Tue, 02 Jan 2024 00:00:00 GMT")
    values = learned(("/orders/1", recorded, replayed))
    done = sent(
        values, headers={"If-Match": '"9", "3"', "If-Modified-Since": "Mon, 01 Jan 2024 00:00:00 GMT", "X": '"3"'}
    )
    assert fields_of(done) == {
        "If-Match": '"9", W/"c4"', "If-Modified-Since": "Tue, 02 Jan 2024 00:00:00 GMT", "X": '"3"',
    }  # fmt: skip


SECRET, OTHER = "tok-9f/8E7+d6C5==", "sec/1aB2+c3D4e5=="


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Bearer " + SECRET, "Bearer " + OTHER),
        (f'Token token="{SECRET}"', f'Token token="{OTHER}"'),
        (
            "https://shop.example/cb?t=tok-9f%2F8E7%2Bd6C5%3D%3D&u=1",
            "https://shop.example/cb?t=sec%2F1aB2%2Bc3D4e5%3D%3D&u=1",
        ),
        ("a=tok-9f%2f8E7%2bd6C5%3d%3d;", "a=sec%2F1aB2%2Bc3D4e5%3D%3D;"),
        (r'{"t":"tok-9f\/8E7+d6C5=="}', f'{{"t":"{OTHER}"}}'),
        (f"user:{SECRET}", f"user:{OTHER}"),
        (SECRET + "=", SECRET + "="),
        ("x" + SECRET, "x" + SECRET),
        ("x-" + SECRET, "x-" + SECRET),
        ("x%2D" + SECRET, "x%2D" + SECRET),
        ("%2F" + SECRET, "%2F" + OTHER),
        (SECRET[:-1], SECRET[:-1]),
    ],
)
def test_a_distinctive_value_is_known_in_all_writings(before: str, after: str) -> None:
    values = CallerValues()
    values.put(SECRET, OTHER)
    assert fields_of(sent(values, headers={"X-Any": before})) == {"X-Any": after}


def test_credentials_of_the_scheme_basic() -> None:
    values = CallerValues()
    values.put(SECRET, OTHER)
    header, expected = (f"Basic {base64.b64encode(f'ana:{token}'.encode()).decode()}" for token in (SECRET, OTHER))
    assert fields_of(sent(values, headers={"Authorization": header})) == {"Authorization": expected}
    other = "Basic " + base64.b64encode(b"ana:x").decode()
    assert fields_of(sent(values, headers={"Authorization": other})) == {"Authorization": other}


def test_a_multipart_form() -> None:
    values = learned(("/orders", response({"id": 17, "key": UUID}), response({"id": 18, "key": OTHER_UUID})))

    def part(name: str, data: object, kind: str = "") -> str:
        kind = f"\r\nContent-Type: {kind}" if kind else ""
        return f'--b\r\nContent-Disposition: form-data; name="{name}"{kind}\r\n\r\n{data}\r\n'

    def body(order: int, key: str) -> str:
        fields = part("order_id", order) + part("count", 17) + part("j", f'{{"k":"{key}"}}', "application/json")
        return f"{fields}{part('file', UUID, 'image/png')}--b--\r\n"

    done = sent(values, "/upload", body(17, UUID), kind="multipart/form-data; boundary=b")
    assert done.body.decode() == body(18, OTHER_UUID), "an image is no text"


def test_links_within_json_name_ids_too() -> None:
    values = learned(
        (
            "/cart",
            response({"_links": {"order": {"href": "/orders/5?key=1"}}}),
            response({"_links": {"order": {"href": "https://x/orders/6?key=2"}}}),
        )
    )
    assert target_of(values, "/orders/5/pay") == "/orders/6/pay"


def test_a_coded_body_is_sent_decoded_if_it_changes() -> None:
    values = learned(("/orders", response({"id": 17}), response({"id": 18})))
    packed = gzip.compress(b'{"order_id": 17}')
    done = sent(values, "/pay", packed, kind="application/json", headers={"Content-Encoding": "gzip"})
    assert done.body == b'{"order_id": 18}'
    assert fields_of(done) == {"Content-Length": "16", "Content-Type": "application/json"}
    untouched = request(
        "/pay", gzip.compress(b'{"a": 17}'), kind="application/json", headers={"Content-Encoding": "gzip"}
    )
    assert (
        sent(values, "/pay", untouched.body, kind="application/json", headers={"Content-Encoding": "gzip"}) == untouched
    )


def test_a_sign_in_by_redirects() -> None:
    """The code of the authorization stands in a query, a token in a fragment (RFC 6749 section 4)."""

    def sides(path: str, recorded: str, replayed: str) -> tuple[str, Response, Response]:
        left, right = (response(status=302, Location=f"https://shop.example/cb{part}") for part in (recorded, replayed))
        return path, left, right

    values = learned(
        sides("/authorize", "?code=4%2F0AX4&state=7", "?code=4%2F1BY5&state=8"),
        sides("/implicit", "#access_token=2YotnFZFEjr1zCsicMWpAA", "#access_token=Zm9vYmFyMTIzNDU2Nzg5"),
    )
    assert target_of(values, "/cb?code=4%2F0AX4&state=7&n=7") == "/cb?code=4/1BY5&state=8&n=7"
    assert fields_of(sent(values, headers={"Authorization": "Bearer 2YotnFZFEjr1zCsicMWpAA"})) == {
        "Authorization": "Bearer Zm9vYmFyMTIzNDU2Nzg5"
    }


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("application/x-ndjson", '{"order_id": 17}\n{"id": 17}\n', '{"order_id": 18}\n{"id": 18}\n'),
        ("", '{"order_id": 17}', '{"order_id": 18}'),
        ("text/xml", "<o><id>17</id><t>k3J9dZq1W8sLx0Yv</t></o>", "<o><id>17</id><t>a&amp;b</t></o>"),
        ("application/graphql", 'query { a(t: "k3J9dZq1W8sLx0Yv") }', 'query { a(t: "a&b") }'),
        ("application/json", '{"order_id": 17, "broken', '{"order_id": 18, "broken'),
        ("application/json", '\ufeff[{"order_id":17}]', '\ufeff[{"order_id":18}]'),
        ("image/png", "k3J9dZq1W8sLx0Yv", "k3J9dZq1W8sLx0Yv"),
    ],
)
def test_bodies_of_other_kinds(kind: str, before: str, after: str) -> None:
    sides = [response({"id": order, "token": token}) for order, token in ((17, "k3J9dZq1W8sLx0Yv"), (18, "a&b"))]
    values = learned(("/orders", sides[0], sides[1]))
    assert sent(values, "/orders", before, kind=kind).body.decode() == after


def test_json_in_a_script_of_a_page() -> None:
    pages = [
        response(
            f'<script type="application/json" id="s">{{"user": {{"id": {user}}}}}</script><a href="/carts/{cart}">'
        )
        for user, cart in ((1, 5), (2, 6))
    ]
    values = learned(("/", pages[0], pages[1]))
    assert target_of(values, "/users/1/carts/5?userId=1") == "/users/2/carts/6?userId=2"
