"""A text that is proven to hold no secret is one in which the whole search finds none."""

from datetime import timedelta
from urllib.parse import quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.compare import Redactor
from strangler.core.compare.redaction.nesting import Nesting
from strangler.core.compare.redaction.quick_test import holds_no_secret
from strangler.core.compare.redaction.redact_url import redact_url
from tests.core.compare.secret_texts import PLAIN, SECRETS, Thorough, in_base64, quoted, texts


@pytest.mark.parametrize("secret", SECRETS)
def test_a_secret_is_not_proven_away(secret: str) -> None:
    for text in (secret, f"see {secret} there", quoted(secret), quote_plus(secret)):
        assert not holds_no_secret(text)
    if secret.isprintable():
        assert not holds_no_secret(in_base64(f"text {secret}"))


@pytest.mark.parametrize("url", ["// shop:geheim", '//a"b:geheim', "https://\ta:b"])
def test_userinfo_of_a_text_that_is_read_as_a_url_is_not_proven_away(url: str) -> None:
    assert Redactor.of(b"key", []).target(url.encode()).partition("//")[2].startswith("redacted:")


@pytest.mark.parametrize("text", PLAIN)
def test_usual_texts_are_proven(text: str) -> None:
    assert holds_no_secret(text)


@given(texts())
@settings(max_examples=300, deadline=timedelta(seconds=5))
def test_what_is_proven_holds_nothing_that_the_search_finds(text: str) -> None:
    if not holds_no_secret(text):
        return
    redactor = Thorough.of(b"key", [])
    at = Nesting.of(text)
    assert redactor.nested(text, at) == text
    assert redact_url(text, redactor, at) == text
    assert redactor.label(text, at) == text
    assert at.work.marks == 0


@given(texts(), st.sampled_from([(), ("$..email",), ("$..*",)]))
@settings(max_examples=100, deadline=timedelta(seconds=5))
def test_samples_are_redacted_the_same_without_proofs(text: str, rules: tuple[str, ...]) -> None:
    quick, thorough = Redactor.of(b"key", rules), Thorough.of(b"key", rules)
    assert quick.text(text) == thorough.text(text)
    assert quick.markup(text, is_html=True) == thorough.markup(text, is_html=True)
    assert quick.tree({"a": [text], text: "x"}) == thorough.tree({"a": [text], text: "x"})
