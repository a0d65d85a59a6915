"""The tokens of approval links: only what this key signed is read, until it expires, and every mistake has its name."""

import base64
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.control.rollout.approval_token import (
    LASTS_S,
    MAX_TOKEN_CHARS,
    Approval,
    BrokenLinkError,
    ExpiredLinkError,
    ForgedLinkError,
    LinkError,
    read,
    sign,
)

KEY = bytes(range(32))
AT = 1_764_500_000.123456
ORDERS = Approval("orders", 50.0, AT, AT + LASTS_S)
TOKEN = sign(KEY, ORDERS)

GROUPS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
PERCENTS = st.floats(0.01, 100).map(lambda percent: round(percent, 2))
TIMES = st.floats(0, 4e9)


@given(GROUPS, PERCENTS, TIMES, st.binary(min_size=32, max_size=32))
def test_what_was_signed_is_read_to_the_last_bit(group: str, percent: float, at: float, key: bytes) -> None:
    approval = Approval(group, percent, at, at + LASTS_S)
    assert read(key, sign(key, approval), at) == approval


@given(GROUPS, PERCENTS, TIMES)
def test_a_token_needs_no_escape_in_a_url_and_no_care_in_a_chat(group: str, percent: float, at: float) -> None:
    token = sign(KEY, Approval(group, percent, at, at + LASTS_S))
    assert set(token) <= set(string.ascii_lowercase + string.digits)
    assert len(token) <= MAX_TOKEN_CHARS


@given(st.binary(max_size=300))
def test_no_bytes_are_a_token(noise: bytes) -> None:
    spelled = "1" + base64.b32encode(noise).decode().rstrip("=").lower()
    for text in (noise.decode("latin-1"), noise.decode("utf-8", "surrogateescape"), spelled):
        with pytest.raises((BrokenLinkError, ForgedLinkError)):
            read(KEY, text, AT)


@given(st.integers(0, len(TOKEN) - 1), st.sampled_from(string.ascii_letters + string.digits + "-_=.\n\u2028é"))
def test_no_character_can_be_changed(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    if changed != TOKEN:
        with pytest.raises((BrokenLinkError, ForgedLinkError)):
            read(KEY, changed, AT)


@given(st.integers(0, len(TOKEN) - 1))
def test_no_beginning_is_a_token(length: int) -> None:
    with pytest.raises((BrokenLinkError, ForgedLinkError)):
        read(KEY, TOKEN[:length], AT)


@given(st.binary(max_size=64))
def test_another_key_did_not_sign_it(key: bytes) -> None:
    with pytest.raises(ForgedLinkError):
        read(key, TOKEN, AT)


@pytest.mark.parametrize(
    ("token", "error"),
    [
        pytest.param("", BrokenLinkError, id="nothing"),
        pytest.param("1", BrokenLinkError, id="its version alone"),
        pytest.param("2" + TOKEN[1:], BrokenLinkError, id="another version"),
        pytest.param(TOKEN.upper(), BrokenLinkError, id="upper case"),
        pytest.param(TOKEN + "=", BrokenLinkError, id="padding"),
        pytest.param(TOKEN + "\n", BrokenLinkError, id="a line end"),
        pytest.param(TOKEN + "a" * 8, ForgedLinkError, id="more at the end"),
        pytest.param("1" + "a" * MAX_TOKEN_CHARS, BrokenLinkError, id="too long"),
        pytest.param("1" + "0" * 200, BrokenLinkError, id="digits that base32 does not have"),
        pytest.param("1" + "a" * 200, ForgedLinkError, id="a made-up signature"),
    ],
)
def test_what_is_wrong_has_a_name(token: str, error: type[LinkError]) -> None:
    with pytest.raises(error):
        read(KEY, token, AT)


def test_a_token_has_one_spelling() -> None:
    """The last character of base32 has bits to spare; only zeros count, so that a link cannot be spelled otherwise."""
    other = [TOKEN[:-1] + character for character in string.ascii_lowercase + "234567"]
    readable = []
    for token in other:
        try:
            read(KEY, token, AT)
        except LinkError:
            continue
        readable.append(token)
    assert readable == [TOKEN]


@pytest.mark.parametrize(
    ("now", "is_valid"),
    [(AT - 5, True), (AT, True), (AT + LASTS_S - 0.001, True), (AT + LASTS_S, False), (AT + 1e9, False)],
    ids=["a clock that is behind", "at once", "the last moment", "the end", "years later"],
)
def test_it_is_valid_for_three_days(now: float, is_valid: bool) -> None:
    if is_valid:
        assert read(KEY, TOKEN, now) == ORDERS
    else:
        with pytest.raises(ExpiredLinkError) as caught:
            read(KEY, TOKEN, now)
        assert caught.value.approval == ORDERS


def test_a_wrong_signature_is_no_expired_link() -> None:
    """Only a holder of a link learns of what it was."""
    with pytest.raises(ForgedLinkError):
        read(bytes(32), TOKEN, AT + 1e9)


def test_the_same_approval_has_the_same_token() -> None:
    assert sign(KEY, ORDERS) == TOKEN
    assert len({sign(KEY, Approval("orders", 50.0, AT + moment, AT)) for moment in range(50)}) == 50
