"""How a form and a link that a browser sends are read."""

import pytest

from strangler.control.dashboard.visit import form_text, local_url


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("/routes/orders?span=long", "/routes/orders?span=long", id="a page with its query"),
        pytest.param("", "/", id="nothing"),
        pytest.param("x", "/", id="a relative path"),
        pytest.param("//evil.example/", "/", id="another host"),
        pytest.param("https://evil.example/", "/", id="another scheme"),
        pytest.param("/\\evil.example", "/", id="a backslash, which browsers read as a slash"),
        pytest.param("/a\r\nX-Evil: 1", "/", id="a line of its own"),
        pytest.param("http://[", "/", id="no URL"),
    ],
)
def test_a_link_leads_to_a_path_of_the_dashboard_or_to_the_overview(text: str, expected: str) -> None:
    assert str(local_url(text)) == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [({"why": "  known noise "}, "known noise"), ({}, ""), ({"why": object()}, "")],
    ids=["without the space around it", "absent", "a file"],
)
def test_a_field_that_is_absent_or_a_file_is_empty(form: dict[str, object], expected: str) -> None:
    assert form_text(form, "why") == expected
