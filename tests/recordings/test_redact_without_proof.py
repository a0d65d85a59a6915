"""The quick proofs that a text holds no secret change nothing but the time that redaction in place takes."""

import json
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from strangler.core.compare import Redactor
from strangler.core.compare.model.media import parse_media_type
from strangler.recordings.recorded import raw_text
from strangler.recordings.redact_in_place import RecordingRedactor
from tests.core.compare.secret_texts import Thorough, texts

KINDS = [
    b"application/json",
    b"application/x-ndjson",
    b"application/x-www-form-urlencoded",
    b"text/html",
    b"text/plain",
    b"",
]


@given(texts(), st.sampled_from([(), ("$..email",), ("$.a[*]",), ("$[*]",), ("$..*",)]), st.sampled_from(KINDS))
@settings(max_examples=150, deadline=timedelta(seconds=5))
def test_redaction_in_place_is_the_same_without_proofs(text: str, rules: tuple[str, ...], kind: bytes) -> None:
    quick, thorough = (RecordingRedactor(each.of(b"key", rules)) for each in (Redactor, Thorough))
    data = text.encode("utf-8", "replace")
    for document in (data, json.dumps({"a": [data.decode()], "email": 1}).encode()):
        assert quick.body(document, parse_media_type(kind)) == thorough.body(document, parse_media_type(kind))
    value = raw_text(data)
    assert quick.headers((("X-A", value), ("Cookie", value))) == thorough.headers((("X-A", value), ("Cookie", value)))
    assert quick.target(value) == thorough.target(value)
