"""Laws of learning and substituting: nothing learned changes nothing, whole values alone, in linear time."""

import gc
import itertools
import json
from collections.abc import Iterator
from random import Random
from time import process_time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from strangler.core.replaying.found_values import MAX_VALUES
from strangler.core.replaying.learned import CallerValues, LearnedValues
from strangler.core.replaying.needles import Needles
from strangler.core.replaying.paired_places import paired_values
from strangler.core.replaying.places import MAX_BODY_BYTES
from strangler.core.replaying.request_message import RequestMessage
from strangler.core.replaying.slots import json_slots
from strangler.core.replaying.spots import Use, is_distinctive
from strangler.core.replaying.substitute import substitute
from tests.core.replaying.all_values import values_by_place
from tests.core.replaying.conversations import learned, request, response, sent, target_of

_KINDS = st.sampled_from(
    [
        b"",
        b"application/json",
        b"application/x-ndjson",
        b"application/x-www-form-urlencoded",
        b"text/html",
        b"image/png",
        b"multipart/form-data; boundary=b",
        b"application/xml",
        b"text/plain",
    ]
)
_PIECES = st.lists(
    st.sampled_from(
        [b"--b\r\n", b"--b--", b"\r\n\r\n", b'"', b"{", b"}", b"[", b",", b":", b"\\", b"%2", b"%2F", b"&", b"="]
    )
    | st.sampled_from([b"tok_1Abc234Def", b"17", b"\xff", b"Content-Disposition: form-data; name=x\r\n"])
    | st.binary(max_size=6),
    max_size=30,
).map(b"".join)


def _learned() -> CallerValues:
    values = CallerValues()
    for text in ("tok_1Abc234Def", "17", "900150983cd24fb0d6963f7d28e17f72"):
        values.put(text, text, ((Use.ID, "order"), (Use.FIELD, "a")))
    return values


@given(_PIECES, _PIECES, _KINDS, _PIECES, st.booleans())
@settings(max_examples=300)
def test_the_identity_changes_no_byte(target: bytes, body: bytes, kind: bytes, value: bytes, is_empty: bool) -> None:
    headers = [(b"Content-Type", kind), (b"Cookie", value), (b"X-A", value), (b"Referer", value), (b"If-Match", value)]
    message = RequestMessage(b"POST", b"/" + target, headers, body)
    done = substitute(message, CallerValues() if is_empty else _learned())
    assert done.left_out == done.unsendable == ()
    assert done.request == message


@given(st.binary(max_size=300), _KINDS)
def test_any_response_is_read(body: bytes, kind: bytes) -> None:
    found = values_by_place(response(body, kind=kind.decode(), Location="//[", Set_Cookie="a=b"), "/a?b")
    values = CallerValues()
    values.learn(found, found)
    assert len(values) == 0, "equal values are not kept"


_SCALARS = st.sampled_from(["a1b2c3d4e5f6a7b8", "17", "18", "/orders/17", "/orders/18?a=3", 17, 18, 19, True, None])
_TREES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["id", "order_id", "url"]), inner | _SCALARS, max_size=3)
    ),
    max_leaves=12,
)


_SIDES = st.tuples(_TREES, st.sampled_from(["/orders/17", "/orders/18"]))


@given(st.lists(st.tuples(_SIDES, _SIDES), min_size=1, max_size=4))
@example([(({"id": 17, "order_id": "17"}, "/"), ({"id": 18, "order_id": "17"}, "/"))])
@example([(([17], "/orders/17"), ([17], "/orders/18"))])
@settings(max_examples=500)
def test_pairing_learns_what_all_places_teach(
    exchanges: list[tuple[tuple[object, str], tuple[object, str]]],
) -> None:
    whole, paired = CallerValues(), CallerValues()
    places = []
    for sides in exchanges:
        recorded, replayed = (
            response(tree if isinstance(tree, dict | list) else [tree], Location=location) for tree, location in sides
        )
        places.append(values_by_place(recorded, "/orders"))
        whole.learn(places[-1], values_by_place(replayed, "/orders"))
        paired.learn(*paired_values(recorded, replayed, "/orders", paired))
    assert len(paired) == len(whole)
    for found in (value for each in places for value in each.values()):
        assert paired.at(found.text, found.spots) == whole.at(found.text, found.spots)


def test_equal_pages_forget_and_otherwise_are_not_read() -> None:
    pages = [response(f'<a href="/orders/{order}">') for order in (17, 18)]
    values = CallerValues()
    values.learn(*paired_values(pages[0], pages[1], "/", values))
    assert target_of(values, "/orders/17") == "/orders/18"
    assert paired_values(pages[1], pages[1], "/", values) == ({}, {})
    values.learn(*paired_values(pages[0], pages[0], "/", values))
    assert target_of(values, "/orders/17") == "/orders/17"


_WORDS = st.text('ab1-._~+/=% :"{},\\', max_size=12)


@given(_WORDS, _WORDS)
def test_a_value_is_replaced_as_a_whole_or_not_at_all(before: str, after: str) -> None:
    values = CallerValues()
    values.put("a1b2c3d4e5f6a7b8", "REPLAYED")
    text = f"{before}a1b2c3d4e5f6a7b8{after}"
    done = sent(values, "/a", text, kind="text/plain").body.decode()
    assert done in (text, f"{before}REPLAYED{after}")
    if before[-1:].isalnum() and before[-3:-2] != "%" and before[-2:-1] != "\\":
        assert done == text
    if after[:1].isalnum():
        assert done == text
    if not (before.strip() or after.strip()):
        assert done != text


@given(st.lists(st.sampled_from(["n1", "n2", "aa.bb", "aa", "bb", "aa/bb", "x", "-", "/", " ", "="]), max_size=30))
def test_needles_agree_with_a_plain_search(pieces: list[str]) -> None:
    text = "".join(pieces)
    needles: Needles[str] = Needles()
    for needle in ("n1", "aa.bb", "aa/bb", "aa"):
        needles.add(needle, needle)
    hits = needles.find(text)
    assert all(text[hit.start : hit.end] == hit.found for hit in hits)
    assert all(left.end <= right.start for left, right in itertools.pairwise(hits))
    needles.remove("aa.bb", "another value")
    assert needles.find(text) == hits
    for needle in ("n1", "aa.bb", "aa/bb", "aa"):
        needles.remove(needle, needle)
    assert needles.find(text) == []


@given(
    st.recursive(
        st.text(max_size=5) | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=4), inner),
        max_leaves=15,
    )
)
def test_all_scalars_of_json_have_a_slot(tree: object) -> None:
    text = json.dumps(tree, indent=1)
    slots = [slot for slot in json_slots(text, "") if slot.value is not None]
    assert [json.loads(text[slot.span[0] : slot.span[1]]) for slot in slots] == [*_scalars(tree)]


_ANY = st.lists(
    st.sampled_from(["k3J9", "dZq1", "/", "%2F", "-", '"', "\\n", "\\u002d", " ", "é", "%", "\\"]), max_size=12
).map("".join)


@given(_ANY, _ANY, st.lists(st.tuples(st.integers(0, 1), _ANY), max_size=3))
def test_the_quick_test_never_misses_a_value(value: str, text: str, more: list[tuple[int, str]]) -> None:
    values = CallerValues()
    for number, other in [(1, value), *more]:
        if other:
            values.put(other, f"new {number}", ((Use.FIELD, "a"),))
    if values.within(text):
        assert values.may_replace(text)
    if value:
        assert values.may_replace(value)
        assert values.may_replace(f" {value} ")


@given(st.text("abcz0189-_", min_size=1, max_size=20), st.data())
def test_a_value_is_known_by_its_decoded_text(suffix: str, data: st.DataObject) -> None:
    values, value = CallerValues(), f"k3J9dZq1W8sLx0Yv{suffix}"
    values.put(value, "REPLAYED")
    marks = data.draw(st.lists(st.booleans(), min_size=len(value), max_size=len(value)))
    percent = "".join(f"%{ord(char):02x}" if mark else char for char, mark in zip(value, marks, strict=True))
    escaped = "".join(f"\\u{ord(char):04x}" if mark else char for char, mark in zip(value, marks, strict=True))
    assert target_of(values, f"/a/{percent}?b={percent}") == "/a/REPLAYED?b=REPLAYED"
    assert sent(values, "/", f'{{"a": "{escaped}"}}', kind="application/json").body == b'{"a": "REPLAYED"}'


def _scalars(tree: object) -> Iterator[object]:
    if isinstance(tree, dict | list):
        for item in tree.values() if isinstance(tree, dict) else tree:
            yield from _scalars(item)
    else:
        yield tree


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        *((text, False) for text in ("17", "99999", "true", "pending", "2024-01-01", "2024-01-01T00:00:00Z", "12.50")),
        *((text, False) for text in ("10:30:00", "", "#ff00aa", "a long text of 3 words", "/orders/17", "https://a/1")),
        *((text, True) for text in ("123456", "550e8400-e29b-41d4-a716-446655440000", "01ARZ3NDEKTSV4RRFFQ69G5FAV")),
        *(
            (text, True)
            for text in ("redacted:0a1b2c3d", "507f1f77bcf86cd799439011", "k3J/9d+Zq1W8sLx0Yv==", 'W/"5d8c72a5edda"')
        ),
    ],
)
def test_short_and_common_values_are_not_distinctive(text: str, expected: bool) -> None:
    assert is_distinctive(text) is expected


def test_a_short_value_of_json_stays_in_its_member() -> None:
    values = learned(
        (
            "/orders/1",
            response({"state": "open", "flag": True, "v": 3}),
            response({"state": "new", "flag": False, "v": 4}),
        )
    )
    body = {"order": {"state": "open", "flag": True, "v": 3}, "state": "open", "v": 3}
    assert json.loads(sent(values, "/pay", body).body) == {**body, "order": {"state": "new", "flag": False, "v": 4}}
    assert target_of(values, "/open/3?state=open&v=3") == "/open/3?state=open&v=3"


def test_memory_is_bounded_and_the_newest_stay() -> None:
    values = CallerValues(max_pairs=10, max_bytes=10_000)
    for number in range(100):
        values.put(f"{number:08}", f"{number + 1:08}")
    assert len(values) == 10
    assert target_of(values, "/a/00000099/00000001") == "/a/00000100/00000001"
    values.put("00000001", "x" * 20_000)
    assert len(values) == 10, "a value that is too long by itself"
    values.put("00000001", "x" * 8000)
    assert 0 < len(values) < 10
    assert values.size <= 10_000
    callers = LearnedValues(max_bytes=5000)
    for number in range(100):
        callers.put(f"caller {number}", "k3J9dZq1W8sLx0Yv", "Aa7Tt2Rr5Ee8Ww1Q")
    assert len(callers.of("caller 0")) == 0
    assert len(callers.of("caller 99")) == 1


def test_a_response_gives_a_bounded_number_of_values() -> None:
    assert len(values_by_place(response(list(range(50_000))), "/")) == MAX_VALUES
    assert values_by_place(response(b"1" * (MAX_BODY_BYTES + 1), kind="application/json"), "/") == {}
    page = '<a href="/orders/1">' * 6000 + "<input type=hidden name=a value=1>" * 6000
    assert len(values_by_place(response(page), "/")) <= MAX_VALUES
    deep = "[" * 100_000 + "]" * 100_000
    assert values_by_place(response(deep.encode(), kind="application/json"), "/") == {}


@pytest.fixture
def _without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _bodies(count: int) -> dict[str, tuple[bytes, str]]:
    random = Random(7)
    rows = [{"id": n, "key": f"{random.getrandbits(128):032x}", "text": f"tok_{n}Recorded" * 2} for n in range(count)]
    plain = " ".join(f"{random.getrandbits(64):016x}" for _ in range(count * 5))
    return {
        "rows": (json.dumps(rows).encode(), "application/json"),
        "text": (plain.encode(), "text/plain"),
        "unclosed": (b'"' + b'\\"' * count * 20, "application/json"),
        "marks": (json.dumps([{"p": f"redacted:{n:08x}"} for n in range(count)]).encode(), "application/json"),
        "form": (b"&".join(b"a%d=redacted:%08x" % (n, n) for n in range(count)), "application/x-www-form-urlencoded"),
        "one anchor": (b"-".join([b"aaaaaaaa"] * count), "text/plain"),
        "parts": (b"--b\r\n\r\nx\r\n" * count + b"--b--", "multipart/form-data; boundary=b"),
    }


@pytest.mark.parametrize("name", list(_bodies(1)))
@pytest.mark.usefixtures("_without_garbage_collection")
def test_twice_the_body_takes_about_twice_the_time(name: str) -> None:
    values = CallerValues()
    for number in range(1000):
        values.put(f"tok_{number}Recorded" * 2, f"tok_{number}Replayed")
        values.put(f"aaaaaaaa-{number:07}", "x")
        values.put(str(number), "5", ((Use.ID, "order"),))

    def least_s(count: int) -> float:
        body, kind = _bodies(count)[name]
        message = request("/orders", body, kind=kind)
        times = []
        for _ in range(5):
            start = process_time()
            substitute(message, values)
            times.append(process_time() - start)
        return min(times)

    assert least_s(4000) < 4 * 2 * least_s(1000) + 0.01
