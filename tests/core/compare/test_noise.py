"""Noise counting and proposals."""

import pytest
import yaml

from strangler.core.compare import NoiseCount, NoiseState, propose
from strangler.core.compare.noise import NoiseKey
from strangler.core.compare.shapes import shape_of
from strangler.core.compare.values import Kind, Where
from tests.core.compare.answers import answer, compared, settings, trees


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


def filled(pairs: int = 40) -> NoiseState:
    state = NoiseState()
    for n in range(pairs):
        legacy = {"meta": {"generated_at": f"2026-11-23T08:00:{n:02}Z"}, "n": n, "tags": ["a", "b"], "p": 1}
        again = {"meta": {"generated_at": f"2026-11-23T08:01:{n:02}Z"}, "n": n + 1, "tags": ["b", "a"], "p": 1}
        state.record_baseline("orders", trees(legacy, again))
        state.record_pair("orders", trees(legacy, {**again, "p": 2}))
    return state


def test_counts_are_per_route_path_and_kind() -> None:
    found = {(c.key.path, c.key.kind.value): (c.raw, c.noise, c.shape, c.is_noise) for c in filled().counts("orders")}
    assert found == {
        ("$.meta.generated_at", "value"): (40, 40, "timestamp", True),
        ("$.n", "value"): (40, 40, "counter", True),
        ("$.tags", "order"): (40, 40, None, True),
        ("$.p", "value"): (40, 0, None, False),
    }
    assert filled().counts("carts") == ()
    assert ("body", "$.p", "value") not in filled().noisy("orders")
    assert ("body", "$.n", "value") in filled().noisy("orders")


def test_pairs_that_are_not_comparable_do_not_count() -> None:
    state = NoiseState()
    state.record_baseline("r", trees(1, 2))
    state.record_baseline("r", compared(answer(status=500), answer()))
    assert [c.noise_pairs for c in state.counts("r")] == [1]


def test_random_keys_do_not_fill_the_memory() -> None:
    state = NoiseState()
    for n in range(30):
        state.record_pair("r", trees({}, {f"k{n}-{at}": 1 for at in range(100)}))
    assert len(state.counts("r")) == 2000


def test_proposal_is_a_yaml_patch_with_its_evidence() -> None:
    patch = propose("orders", filled().counts("orders"))
    assert patch is not None
    assert "# `$.meta.generated_at` differed in 40 of 40 pairs of legacy against itself (timestamp)" in patch
    (route,) = yaml.safe_load(patch)["routes"]
    assert route["name"] == "orders"
    assert route["compare"]["unordered"] == [{"path": "$.tags"}]
    assert [(rule["path"], rule["kind"]) for rule in route["compare"]["accept"]] == [
        ("$.meta.generated_at", "value"),
        ("$.n", "value"),
    ]


def test_proposal_for_a_header() -> None:
    state = NoiseState()
    rules = settings(headers=("etag",))
    for n in range(20):
        state.record_baseline("r", compared(answer(etag=f'"{n:032x}1"'), answer(etag=f'"{n:032x}2"'), rules))
    patch = propose("r", state.counts("r"))
    assert patch is not None
    (rule,) = yaml.safe_load(patch)["routes"][0]["compare"]["accept"]
    assert (rule["header"], rule["kind"]) == ("etag", "value")


def test_odd_paths_survive_the_way_through_yaml() -> None:
    state = NoiseState()
    for key in ("it's", 'a "b" #c: {}', "é\u2028\x7f", "\ud800", "emoji 😀"):
        for _ in range(20):
            state.record_baseline("r", trees({key: 1}, {key: 2}))
    patch = propose("r", state.counts("r"))
    assert patch is not None
    rules = yaml.safe_load(patch)["routes"][0]["compare"]["accept"]
    assert {rule["path"] for rule in rules} == {c.key.path for c in state.counts("r")}


def test_nothing_is_proposed_from_little_or_from_what_the_candidate_does() -> None:
    assert propose("orders", filled(19).counts("orders")) is None
    state = NoiseState()
    for _ in range(50):
        state.record_pair("r", trees(1, 2))
        state.record_baseline("r", trees(1, 1))
    assert propose("r", state.counts("r")) is None


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
