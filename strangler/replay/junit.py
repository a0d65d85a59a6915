"""The result of a replay as JUnit XML, as CI systems read it: a suite for each route, a case for each endpoint.

Elements and attributes are those that the schema of Jenkins' xunit plugin (junit-10.xsd) and GitLab's reader share.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Final
from xml.etree import ElementTree as ET

from strangler.core.documents import ReplayDocument, ReplayedEndpoint, ReplayedRoute, SignatureRow, UnsentEndpoint
from strangler.core.plain import plain
from strangler.store.evidence.side_by_side import value_text

MAX_DIFFERENCES: Final = 50
"""The most differences of one case."""
MAX_VALUE: Final = 200
"""The most characters of a value."""
NO_RESPONSE: Final = frozenset({"unavailable", "timeout"})
"""The reasons that speak of the way to the candidate, and not of its responses."""

_NO_XML = re.compile(r"[\ud800-\udfff\ufffe\uffff]")
"""The characters that no XML 1.0 document may hold, beside those that `plain` replaces."""


def junit_xml(document: ReplayDocument, *, judges_gates: bool) -> bytes:
    """Return the document. `judges_gates`: a gate that is not met fails, too."""
    suites = [_whole(document), *_routes(document, judges_gates)]
    root = ET.Element("testsuites", _totals(suites) | {"name": "strangler replay", "time": f"{document.seconds:.3f}"})
    root.extend(suites)
    ET.indent(root)
    text: str = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _whole(document: ReplayDocument) -> ET.Element:
    """Return the suite about the recording as a whole, whose one case is an error if it was not replayed to its end."""
    case = _case("recording", document.recording)
    if document.stopped is not None or not document.sent:
        why = document.stopped or "nothing was sent"
        _outcome(case, "error", "stopped" if document.stopped else "nothing sent", why, [why])
    return _suite("recording", [case])


def _routes(document: ReplayDocument, judges_gates: bool) -> Iterable[ET.Element]:
    """Yield a suite for each route that was compared, or of which nothing was sent."""
    unsent: dict[str, list[UnsentEndpoint]] = {}
    for row in document.unsent:
        unsent.setdefault(row.route, []).append(row)
    for route in document.routes:
        yield _route(route, document.differences, unsent.pop(route.verdict.route, []), judges_gates)
    yield from (_suite(name, [_unsent(row) for row in rows]) for name, rows in unsent.items())


def _route(
    route: ReplayedRoute, differences: Iterable[SignatureRow], unsent: Iterable[UnsentEndpoint], judges_gates: bool
) -> ET.Element:
    name = route.verdict.route
    rows: dict[str, list[SignatureRow]] = {}
    for row in differences:
        if row.route == name and row.state != "accepted":
            rows.setdefault(row.endpoint, []).append(row)
    cases = [_endpoint(name, endpoint, rows.get(endpoint.endpoint, [])) for endpoint in route.endpoints]
    compared = {endpoint.endpoint for endpoint in route.endpoints}
    cases += [_unsent(row) for row in unsent if row.endpoint not in compared]
    return _suite(name, [*cases, _gate(route)] if judges_gates else cases)


def _unsent(row: UnsentEndpoint) -> ET.Element:
    """Return the case of an endpoint that was never sent."""
    case = _case(row.route, row.endpoint)
    reasons = [f"{reason}: {count:,} requests" for reason, count in row.reasons.items()]
    _outcome(case, "skipped", "not sent", "no request was sent", reasons)
    return case


def _endpoint(route: str, endpoint: ReplayedEndpoint, rows: Sequence[SignatureRow]) -> ET.Element:
    case = _case(route, endpoint.endpoint)
    compared = endpoint.matches + endpoint.accepted + endpoint.mismatches
    reasons = [f"{reason}: {count:,} pairs" for reason, count in endpoint.not_comparable.items()]
    if endpoint.mismatches:
        text = f"{endpoint.mismatches:,} of {compared:,} pairs differ"
        _outcome(case, "failure", "difference", text, [*_differences(rows), *reasons])
    elif not compared and not NO_RESPONSE.isdisjoint(endpoint.not_comparable):
        _outcome(case, "error", "no response", "no response could be compared", reasons)
    elif not compared:
        _outcome(case, "skipped", "not comparable", "no pair could be compared", reasons)
    return case


def _gate(route: ReplayedRoute) -> ET.Element:
    case, verdict = _case(route.verdict.route, "gate"), route.verdict
    if verdict.verdict != "ready":
        _outcome(case, "failure", verdict.verdict, f"the gate is not met: {verdict.verdict}", verdict.reasons)
    return case


def _differences(rows: Sequence[SignatureRow]) -> Iterable[str]:
    for row in rows[:MAX_DIFFERENCES]:
        legacy, candidate = (_short(value_text(row, "legacy")), _short(value_text(row, "candidate")))
        place = row.in_ if row.path is None else f"{row.in_} {row.path}"
        yield f"{row.id} {row.severity}: {place} ({row.kind}), {row.count:,} times: {legacy} → {candidate}"
    if len(rows) > MAX_DIFFERENCES:
        yield f"and {len(rows) - MAX_DIFFERENCES:,} more"


def _short(text: str) -> str:
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 1] + "…"


def _suite(name: str, cases: Sequence[ET.Element]) -> ET.Element:
    counts = {
        key: str(sum(case.find(tag) is not None for case in cases))
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    made = ET.Element("testsuite", {"name": _xml(name), "tests": str(len(cases)), **counts})
    made.extend(cases)
    return made


def _totals(suites: Sequence[ET.Element]) -> dict[str, str]:
    return {key: str(sum(int(suite.attrib[key]) for suite in suites)) for key in ("tests", "failures", "errors")}


def _case(suite: str, name: str) -> ET.Element:
    return ET.Element("testcase", {"classname": _xml(suite), "name": _xml(name)})


def _outcome(case: ET.Element, tag: str, kind: str, message: str, lines: Iterable[str]) -> None:
    ET.SubElement(case, tag, {"type": _xml(kind), "message": _xml(message)}).text = _xml("\n".join(lines))


def _xml(text: str) -> str:
    return _NO_XML.sub("\ufffd", plain(text))
