"""Noise counting and proposals."""

from typing import Any

import pytest
import yaml

from strangler.core.compare import NoiseCount, propose
from strangler.core.compare.model.noise import NoiseKey
from strangler.core.compare.model.shapes import shape_of
from strangler.core.compare.model.values import Kind, Where
from tests.core.compare.responses import trees


def count(raw: int, raw_pairs: int, noise: int, noise_pairs: int) -> NoiseCount:
    return NoiseCount(NoiseKey("r", Where.BODY, "$.a", Kind.VALUE), raw, raw_pairs, noise, noise_pairs, None)


@pytest.mark.parametrize(
    ("counts", "is_noise"),
    [
        ((100, 100, 0, 100), False),  # never in a baseline
        ((1000, 1000, 20, 20), True),  # always, in both
        ((1000, 10_000, 20, 20), True),  # rarer between the arms than in a baseline
        ((600, 1000, 400, 1000), True),  # relative: (0.6 - 0.4) / 1.0 is 20 %, not beyond
        ((601, 1000, 399, 1000), False),
        ((4, 10_000, 1, 10_000), True),  # absolute: 0.03 %, not beyond
        ((5, 10_000, 1, 10_000), False),
        ((0, 0, 3, 10), True),
        ((5, 10, 0, 0), False),
    ],
)
def test_noise_is_what_raw_is_not_beyond_by_both_thresholds(counts: tuple[int, int, int, int], is_noise: bool) -> None:
    assert count(*counts).is_noise is is_noise


def seen(path: str, kind: Kind, shape: str | None, noise: int, raw: int = 40, where: Where = Where.BODY) -> NoiseCount:
    """A difference that `noise` of 40 pairs of legacy with itself had, and `raw` of 40 between the arms."""
    return NoiseCount(NoiseKey("orders", where, path, kind), raw, 40, noise, 40, shape)


def proposed(*counts: NoiseCount) -> Any:
    """The `compare` of the only route in the fragment that is proposed."""
    patch = propose("orders", counts)
    assert patch is not None
    (route,) = yaml.safe_load(patch)["routes"]
    assert route["name"] == "orders"
    return route["compare"]


def test_proposal_names_places_in_markup_as_rules_do() -> None:
    found = proposed(
        seen("footer > .count", Kind.VALUE, "counter", 40),
        seen("main > .list", Kind.ORDER, None, 40),
        seen("a::attr(href)", Kind.VALUE, None, 40),
        seen("/feed/updated", Kind.VALUE, "timestamp", 40),
    )
    assert "unordered" not in found
    assert [{key: rule[key] for key in ("css", "path", "kind") if key in rule} for rule in found["accept"]] == [
        {"css": "footer > .count::text", "kind": "value"},
        {"css": "main > .list", "kind": "order"},
        {"css": "a::attr(href)", "kind": "value"},
        {"path": "/feed/updated", "kind": "value"},
    ]


def test_proposal_has_a_rule_for_each_difference_that_is_noise() -> None:
    found = proposed(
        seen("$.meta.generated_at", Kind.VALUE, "timestamp", 40),
        seen("$.n", Kind.VALUE, "counter", 40),
        seen("$.tags", Kind.ORDER, None, 40),
        seen("$.p", Kind.VALUE, None, 0),
    )
    assert found["unordered"] == [{"path": "$.tags"}]
    assert [(rule["path"], rule["kind"]) for rule in found["accept"]] == [
        ("$.meta.generated_at", "value"),
        ("$.n", "value"),
    ]


def test_proposal_tells_its_evidence() -> None:
    patch = propose("orders", [seen("$.at", Kind.VALUE, "timestamp", 39)])
    assert patch is not None
    assert "# `$.at` differed in 39 of 40 pairs of legacy against itself (timestamp)" in patch


def test_proposal_for_a_header() -> None:
    (rule,) = proposed(seen("etag", Kind.VALUE, "hash", 40, where=Where.HEADER))["accept"]
    assert (rule["header"], rule["kind"]) == ("etag", "value")


def test_odd_paths_survive_the_way_through_yaml() -> None:
    keys = ("it's", 'a "b" #c: {}', "é\u2028\x7f", "\ud800", "emoji 😀")
    paths = {found.path for key in keys for found in trees({key: 1}, {key: 2}).differences}
    assert len(paths) == len(keys)
    rules = proposed(*(seen(path or "", Kind.VALUE, None, 40) for path in paths))["accept"]
    assert {rule["path"] for rule in rules} == paths


@pytest.mark.parametrize(
    "counts",
    [
        pytest.param(
            NoiseCount(NoiseKey("orders", Where.BODY, "$.n", Kind.VALUE), 19, 19, 19, 19, None), id="too few pairs"
        ),
        pytest.param(seen("$.p", Kind.VALUE, None, 0), id="only the candidate differs"),
    ],
)
def test_nothing_is_proposed_from_little_or_from_what_the_candidate_does(counts: NoiseCount) -> None:
    assert propose("orders", [counts]) is None


SHAPED = {
    "UUID": ["6f1c2e3a-1b2c-4d5e-8f90-123456789abc", "7f1c2e3a-1b2c-4d5e-8f90-123456789abc"],
    "timestamp": ["2026-11-23T08:00:00.123Z", "2026-11-23T08:00:01+01:00"],
    "hash": ["da39a3ee5e6b4b0d3255bfef95601890afd80709", "da39a3ee5e6b4b0d3255bfef95601890afd80701"],
    "token": ["Zx81kQp0aL2mN9vB3cD4", "Zx81kQp0aL2mN9vB3cD5"],
}


@pytest.mark.parametrize(("shape", "values"), SHAPED.items(), ids=SHAPED)
def test_shapes_of_strings(shape: str, values: list[str]) -> None:
    assert shape_of(*values) == shape


@pytest.mark.parametrize(
    ("legacy", "candidate", "shape"),
    [
        (b"41", b"42", "counter"),
        (b"41", b"90000", "number"),
        (b"1795421000", b"1795421001", "timestamp"),
        (b"1795421000123", b"1795421000999", "timestamp"),
        (b"0.25", b"0.5", "measured number"),
        ("Mon, 23 Nov 2026 08:00:00 GMT", "Mon, 23 Nov 2026 08:00:01 GMT", "timestamp"),
        ("red", "blue", None),
        ("red", b"1", None),
        (None, "x", None),
    ],
)
def test_shapes_of_others(legacy: str | bytes | None, candidate: str | bytes, shape: str | None) -> None:
    assert shape_of(legacy, candidate) == shape
