"""The result of a replay as JUnit XML: elements and attributes of the common schema, counts that add up, safe text."""

from collections.abc import Iterable
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from strangler.core.documents import (
    ReplayDocument,
    ReplayedEndpoint,
    ReplayedRoute,
    SignatureRow,
    UnsentEndpoint,
    VerdictDocument,
)
from strangler.core.settings import GateSettings
from strangler.replay.junit import MAX_DIFFERENCES, junit_xml
from tests.store.evidence.pairs import signature_row

SCHEMA: dict[str, tuple[set[str], set[str], set[str]]] = {
    # element -> required attributes, further ones, children: junit-10.xsd of Jenkins' xunit plugin
    "testsuites": (set(), {"name", "time", "tests", "failures", "errors"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors"},
        {"time", "skipped", "timestamp", "hostname", "id", "package", "group", "file", "log", "url"},
        {"testsuite", "properties", "testcase", "system-out", "system-err"},
    ),
    "testcase": ({"name"}, {"time", "classname", "group"}, {"skipped", "error", "failure", "system-out", "system-err"}),
    "failure": (set(), {"type", "message"}, set()),
    "error": (set(), {"type", "message"}, set()),
    "skipped": (set(), {"type", "message"}, set()),
}
GATE = GateSettings(min_pairs=1, min_match=0.9, max_breaking=0, max_latency_ratio=1.1, min_age_s=0.0)
NAME = "GET /api/orders/{}"


def verdict(word: str = "ready", reasons: Iterable[str] = (), route: str = "orders") -> VerdictDocument:
    return VerdictDocument(
        route=route,
        release=None,
        verdict=word,
        reasons=list(reasons),
        notes=[],
        pairs=1,
        matches=1,
        match_share=1.0,
        match_low=0.5,
        pairs_needed=0,
        breaking_open=0,
        noise_only=0,
        set_aside=0,
        claims=[],
        not_comparable={},
        latency=None,
        age_s=0.0,
        endpoints={},
        thin_endpoints=[],
        gate=GATE,
    )


def route(*endpoints: ReplayedEndpoint, word: str = "ready", reasons: Iterable[str] = ()) -> ReplayedRoute:
    return ReplayedRoute(verdict(word, reasons), 0, 0, 0, list(endpoints))


def document(*routes: ReplayedRoute, differences: Iterable[SignatureRow] = (), **more: Any) -> ReplayDocument:
    given: dict[str, Any] = {
        "recording": "traffic.rec",
        "to": None,
        "against": "recorded",
        "at": 0.0,
        "seconds": 12.5,
        "passed": True,
        "reasons": [],
        "stopped": None,
        "read": 1,
        "sent": 1,
        "faults": {},
        "arms": {},
        "statuses": {},
        "left_out": {},
        "unsent": [],
        "fields_left_out": {},
        "bad_lines": [],
        "learned": 0,
        "by_candidate": 0,
        "inbox": None,
        "itself": [],
    }
    return ReplayDocument(routes=list(routes), differences=list(differences), **(given | more))


def parsed(made: ReplayDocument, *, judges_gates: bool = True) -> ET.Element:
    root = ET.fromstring(junit_xml(made, judges_gates=judges_gates))
    check(root)
    return root


def check(element: ET.Element) -> None:
    """Hold an element against the schema, and the counts of a suite against its cases."""
    required, further, children = SCHEMA[element.tag]
    assert required <= element.attrib.keys() <= required | further
    assert {child.tag for child in element} <= children
    if element.tag == "testsuite":
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(element.attrib[key]) == len(element.findall(f"testcase/{tag}"))
        assert int(element.attrib["tests"]) == len(element.findall("testcase"))
    for child in element:
        check(child)


def case(root: ET.Element, name: str) -> ET.Element:
    (found,) = [each for each in root.iter("testcase") if each.attrib["name"] == name]
    return found


@pytest.mark.parametrize(
    ("endpoint", "outcome"),
    [
        (ReplayedEndpoint(NAME, 3, 1, 0, {}), None),
        (ReplayedEndpoint(NAME, 3, 0, 0, {"timeout": 1}), None),
        (ReplayedEndpoint(NAME, 3, 0, 1, {}), "failure"),
        (ReplayedEndpoint(NAME, 0, 0, 1, {"timeout": 1}), "failure"),
        (ReplayedEndpoint(NAME, 0, 0, 0, {"not_recorded": 4}), "skipped"),
        (ReplayedEndpoint(NAME, 0, 0, 0, {"unavailable": 4, "not_recorded": 1}), "error"),
        (ReplayedEndpoint(NAME, 0, 0, 0, {"timeout": 1}), "error"),
    ],
    ids=["all alike", "some without a response", "a difference", "a difference and a timeout", "not recorded",
         "nobody there", "too slow"],
)  # fmt: skip
def test_an_endpoint_is_a_case_with_its_outcome(endpoint: ReplayedEndpoint, outcome: str | None) -> None:
    found = case(parsed(document(route(endpoint))), NAME)
    assert found.attrib["classname"] == "orders"
    assert [child.tag for child in found] == ([] if outcome is None else [outcome])


def test_a_failure_has_the_differences_of_its_endpoint_alone() -> None:
    rows = [
        signature_row(endpoint=NAME, count=7),
        signature_row(id="b" * 16, endpoint="GET /api/orders"),
        signature_row(id="c" * 16, endpoint=NAME, route="carts"),
        signature_row(id="d" * 16, endpoint=NAME, state="accepted"),
    ]
    failure = case(parsed(document(route(ReplayedEndpoint(NAME, 0, 0, 9, {})), differences=rows)), NAME)[0]
    assert failure.text == f"{'a' * 16} breaking: body $.price (value), 7 times: 1 → 2"
    assert failure.attrib["message"] == "9 of 9 pairs differ"


def test_the_list_of_differences_is_bounded() -> None:
    rows = [signature_row(id=f"{at:016x}", endpoint=NAME, legacy="x" * 5000) for at in range(MAX_DIFFERENCES + 3)]
    failure = case(parsed(document(route(ReplayedEndpoint(NAME, 0, 0, 9, {})), differences=rows)), NAME)[0]
    assert failure.text is not None
    assert failure.text.endswith("\nand 3 more")
    assert len(failure.text) < 20_000


def test_an_endpoint_that_was_never_sent_is_skipped() -> None:
    unsent = [
        UnsentEndpoint("orders", "POST /api/orders", {"a write": 3, "its body was not recorded": 1}),
        UnsentEndpoint("orders", NAME, {"a secret in its path": 1}),
        UnsentEndpoint("carts", "POST /carts", {"a write": 2}),
    ]
    root = parsed(document(route(ReplayedEndpoint(NAME, 3, 0, 0, {})), unsent=unsent))
    (skipped,) = case(root, "POST /api/orders")
    assert (skipped.tag, skipped.attrib["type"]) == ("skipped", "not sent")
    assert skipped.text == "a write: 3 requests\nits body was not recorded: 1 requests"
    assert list(case(root, NAME)) == [], "others of it were compared"
    assert [each.attrib["name"] for each in root] == ["recording", "orders", "carts"]
    assert [each.attrib["name"] for each in root[2]] == ["POST /carts"], "no gate of a route that was not compared"


@pytest.mark.parametrize("word", ["not ready", "not enough evidence"])
def test_a_gate_that_is_not_met_fails_if_gates_are_judged(word: str) -> None:
    made = document(route(word=word, reasons=["2 more pairs are needed"]))
    (failure,) = case(parsed(made), "gate")
    assert (failure.tag, failure.attrib["type"], failure.text) == ("failure", word, "2 more pairs are needed")
    assert not [each for each in parsed(made, judges_gates=False).iter("testcase") if each.attrib["name"] == "gate"]


@pytest.mark.parametrize(
    ("more", "tags"),
    [({}, []), ({"stopped": "Ctrl-C"}, ["error"]), ({"sent": 0}, ["error"])],
    ids=["whole", "stopped", "nothing sent"],
)
def test_a_recording_that_was_not_replayed_is_an_error(more: dict[str, Any], tags: list[str]) -> None:
    assert [child.tag for child in case(parsed(document(**more)), "traffic.rec")] == tags


HOSTILE = "".join(map(chr, [*range(0x20), 0x7F, 0x9B, 0x202E, 0xD800, 0xFFFE, 0xFFFF])) + "]]><&\"'é😀"


def test_no_text_breaks_the_document_or_a_terminal() -> None:
    rows = [signature_row(endpoint=HOSTILE, path=HOSTILE, legacy=HOSTILE, candidate=[HOSTILE])]
    made = document(
        route(ReplayedEndpoint(HOSTILE, 0, 0, 1, {HOSTILE: 1}), word="not ready", reasons=[HOSTILE]),
        differences=rows,
        unsent=[UnsentEndpoint(HOSTILE, HOSTILE, {HOSTILE: 1})],
        recording=HOSTILE,
        stopped=HOSTILE,
    )
    content = junit_xml(made, judges_gates=True)
    check(ET.fromstring(content))
    text = content.decode()
    assert not {each for each in text if each < " " or "\x7f" <= each < "\xa0" or each in "\u202e\ufffe\uffff"} - {
        "\n",
        "\t",
    }
    assert "é😀" in text


def test_the_totals_are_those_of_the_suites() -> None:
    root = parsed(
        document(
            route(ReplayedEndpoint(NAME, 0, 0, 1, {}), ReplayedEndpoint("GET /x", 0, 0, 0, {"timeout": 1})),
            route(ReplayedEndpoint(NAME, 1, 0, 0, {})),
            stopped="SIGTERM",
        )
    )
    assert (root.attrib["tests"], root.attrib["failures"], root.attrib["errors"]) == ("6", "1", "2")
    assert root.attrib["time"] == "12.500"
