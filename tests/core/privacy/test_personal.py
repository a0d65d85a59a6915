"""Personal data is known by its form, and what only looks like it is left alone."""

import pytest

from strangler.core.privacy.masked import without_addresses
from strangler.core.privacy.personal import email_spans, iban_spans, is_iban, personal_spans, phone_spans

EMAILS = {
    "plain": ("write to joe@example.com.", "joe@example.com"),
    "in a URI": ("mailto:joe+shop@mail.example.co.uk?subject=x", "joe+shop@mail.example.co.uk"),
    "an apostrophe": ("o'brien@example.org", "o'brien@example.org"),
    "quoted local part": ('x "joe k"@example.org', '"joe k"@example.org'),
    "letters of all scripts": ("用户@例子.公司", "用户@例子.公司"),
    "punycode": ("a@xn--fsq.xn--55qx5d", "a@xn--fsq.xn--55qx5d"),
    "address literal": ("joe@[192.168.0.1]", "joe@[192.168.0.1]"),
    "percent-encoded": ("/u/joe%40example.com/7", "joe%40example.com"),
    "an entity": ("joe&#64;example.com", "joe&#64;example.com"),
    "a domain of digits": ("joe@163.com", "joe@163.com"),
    "in angle brackets": ("Joe <joe@example.com>", "joe@example.com"),
    "a form's value": ("a=joe@example.com&b=1", "joe@example.com"),
}
NO_EMAILS = [
    "image@2x.png",
    "/img/logo@3x.webp",
    "@scope/pkg@1.2.3",
    "pkg@1.2.3-beta.rc",
    "react@18.0",
    "joe@localhost",
    "@app.route",
    "https://medium.example/@joe/post",
    "a @ b.com",
    "main@a1b2c3.js",
]
IBANS = ["DE89370400440532013000", "de89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "NO93 8601 1117 947"]
IBANS += ["FR14 2004 1010 0505 0001 3M02 606", "DE89-3704-0044-0532-0130-00", "MT84MALT011000012345MTLCAST001S"]
NO_IBANS = ["DE89370400440532013001", "DE8937040044053201300", "XX89370400440532013000", "xDE89370400440532013000"]
NO_IBANS += ["DE89370400440532013000x", "DE893 70400440532013000", "SE35 items of 20"]
PHONES = [
    "+49 30 901820",
    "+493090182000",
    "0049 30 901820",
    "004930901820",
    "+1 (202) 555-0123",
    "+44 (0)20 7946 0958",
]
PHONES += ["+49.30.901820", "+7 495 123-45-67", "%2B49%2030%20901820", "%2B49+30+901820", "\uff0b49 30 901820"]
NO_PHONES = [
    "2026-11-23T08:00:00+0100",
    "Mon, 23 Nov 2026 08:00:00 +0100",
    "1763880000000",
    "0012345678",
    "order 000012345678",
    "+52.520008",
    "+52.520008 13.404954",
    "+48.8577+002.295/",
    "00491234-5678-4abc-9abc-004912345678",
    "f81d4fae-7dec-11d0-a765-00a0c91e6bf6",
    "1.2.3+20261123",
    "19.99",
    "+19.99",
    "030 901820",
    "3+4930901820",
    "10.0.0.1",
]


def found(spans: object, text: str) -> list[str]:
    return [text[start:end] for start, end in spans]  # type: ignore[attr-defined]


@pytest.mark.parametrize(("text", "address"), EMAILS.values(), ids=EMAILS)
def test_e_mail_addresses_are_found(text: str, address: str) -> None:
    assert found(email_spans(text), text) == [address]


@pytest.mark.parametrize("text", NO_EMAILS)
def test_what_only_has_an_at_sign_is_no_e_mail_address(text: str) -> None:
    assert personal_spans(text) == []


@pytest.mark.parametrize("iban", IBANS)
@pytest.mark.parametrize("around", ["{}", "to {}.", "iban={}&x=1", "({}), BIC"])
def test_ibans_are_found(iban: str, around: str) -> None:
    text = around.format(iban)
    assert iban in found(iban_spans(text), text)


@pytest.mark.parametrize("text", NO_IBANS)
def test_what_fails_the_check_or_has_another_length_is_no_iban(text: str) -> None:
    assert found(iban_spans(text), text) == []


def test_check_digits_of_an_iban() -> None:
    assert is_iban("DE89370400440532013000")
    assert not is_iban("DE98370400440532013000")


@pytest.mark.parametrize("phone", PHONES)
@pytest.mark.parametrize("around", ["{}", "call {}, now", "tel {}\n"])
def test_phone_numbers_with_a_country_code_are_found(phone: str, around: str) -> None:
    text = around.format(phone)
    assert found(phone_spans(text), text) == [phone]


@pytest.mark.parametrize("text", ["tel:030-901820", "tel:+49-30-901820;ext=5", "sms:(202)555.0123"])
def test_what_a_tel_uri_names_is_a_phone_number(text: str) -> None:
    (first, *_) = sorted(phone_spans(text))
    assert first[0] == text.index(":") + 1
    assert text[first[1] :] in ("", ";ext=5")


@pytest.mark.parametrize("text", NO_PHONES)
def test_other_numbers_are_no_phone_numbers(text: str) -> None:
    assert found(phone_spans(text), text) == []


PATHS = {
    "plain": (b"/users/joe@example.com/orders/7", b"/users/*@*/orders/7"),
    "percent-encoded": (b"/users/joe%40example.com", b"/users/*@*"),
    "letters of all scripts": (b"/u/j%C3%B6rg%40b%C3%BCcher.example/x", b"/u/*@*/x"),
    "raw UTF-8": ("/u/jörg@bücher.example".encode(), b"/u/*@*"),
    "a query": (b"/x?mail=joe@example.com&y=%20", b"/x?mail=*@*&y=%20"),
    "several": (b"/a@b.org;c@d.org/e%40f.org", b"/*@*;*@*/*@*"),
    "beside bytes that are no UTF-8": (b"/\xff@x/joe@x.org", b"/\xff@x/*@*"),
    "no address": (b"/img/logo@2x.png", b"/img/logo@2x.png"),
    "nothing": (b"/a%20b/c", b"/a%20b/c"),
}


@pytest.mark.parametrize(("path", "logged"), PATHS.values(), ids=PATHS)
def test_addresses_in_a_path_are_masked_and_the_rest_stays(path: bytes, logged: bytes) -> None:
    assert without_addresses(path) == logged
