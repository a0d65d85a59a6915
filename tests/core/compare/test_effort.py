"""256 KiB of JSON, whatever its shape, take a bounded number of steps: calls of functions are counted, not seconds.

`python -m tests.core.compare.test_effort` prints the table with times.
"""

import json
import sys
from collections.abc import Callable, Iterable
from random import Random
from time import process_time
from types import FrameType
from typing import Any

import pytest

from strangler.core.compare import Comparison, Outcome
from strangler.core.compare.accept_rules.found import MAX_PLACES, MAX_WORK
from strangler.core.compare.json.pairing import MAX_SORTED
from strangler.core.compare.json.trees import MAX_ALIGNED, MAX_CONTAINERS
from strangler.core.compare.multipart import MAX_PARTS
from strangler.core.settings import CompareSettings
from tests.core.compare.responses import accept, compared, response, settings, trees

SIZE = 256 * 1024
MAX_CALLS = 800_000
"""The calls of functions, Python's own included: at 256 KiB the parser alone makes one for each number."""

Pair = tuple[Any, Any]


def numbers(count: int, below: int, seed: int) -> list[int]:
    random = Random(seed)
    return [random.randrange(below) for _ in range(count)]


def shuffled(values: Iterable[Any]) -> list[Any]:
    listed = list(values)
    return Random(1).sample(listed, len(listed))


def rows(count: int) -> list[Any]:
    return [{"id": n, "name": f"customer {n}", "at": n * 7 % 1000, "tags": ["a", "b"]} for n in range(count)]


def changed(listed: list[Any]) -> list[Any]:
    return [{**row, "at": -1} for row in listed]


def deep(leaf: int) -> Any:
    nested: Any = leaf
    for _ in range(90):
        nested = [nested]
    return nested


def matrix(count: int, width: int, modulus: int) -> list[list[int]]:
    return [[i * j % modulus for j in range(width)] for i in range(count)]


SHAPES: dict[str, Callable[[int], Pair]] = {
    "numbers, all other": lambda n: ([*range(n)], [*range(n, 2 * n)]),
    "numbers, shifted by one": lambda n: ([*range(n)], [*range(1, n + 1)]),
    "numbers, shuffled": lambda n: ([*range(n)], shuffled(range(n))),
    "numbers, half of them other": lambda n: ([*range(n)], shuffled(range(n // 2, n + n // 2))),
    "numbers, every other removed": lambda n: ([*range(n)], [*range(0, n, 2)]),
    "bits": lambda n: (numbers(n, 2, 1), numbers(n, 2, 2)),
    "bits and one more": lambda n: (numbers(n, 2, 1), [*numbers(n, 2, 2), 1]),
    "digits": lambda n: (numbers(n, 10, 1), numbers(n, 10, 2)),
    "another type": lambda n: ([*range(n)], [str(k) for k in range(n)]),
    "arrays of one, all other": lambda n: ([[k] for k in range(n)], [[-k - 1] for k in range(n)]),
    "arrays of one, longer": lambda n: ([[k] for k in range(n)], [[k, 0] for k in range(n)]),
    "arrays of one, shifted": lambda n: ([[k] for k in range(n)], [[k] for k in range(1, n + 1)]),
    "pairs, turned": lambda n: ([[k, k + 1] for k in range(n)], [[k + 1, k] for k in range(n)]),
    "matrix, 3 wide": lambda n: (matrix(n, 3, 7), matrix(n, 3, 5)),
    "matrix, 300 wide": lambda n: (matrix(n // 40, 300, 7), matrix(n // 40, 300, 5)),
    "deep arrays": lambda n: ([deep(k) for k in range(n // 10)], [deep(-k - 1) for k in range(n // 10)]),
    "rows, changed": lambda n: (rows(n), changed(rows(n))),
    "rows, one in front": lambda n: (rows(n), [{"id": -1}, *rows(n)]),
    "rows, shuffled and changed": lambda n: (rows(n), changed(shuffled(rows(n)))),
    "small rows": lambda n: ([{"i": k} for k in range(n)], [{"i": -k} for k in range(n)]),
    "rows, each with a name of its own": lambda n: ([{f"k{k}": k} for k in range(n)], [{f"j{k}": k} for k in range(n)]),
    "names, all other": lambda n: ({f"k{k}": k for k in range(n)}, {f"j{k}": k for k in range(n)}),
    "names, values all other": lambda n: ({f"k{k}": k for k in range(n)}, {f"k{k}": -k - 1 for k in range(n)}),
    "names, arrays all other": lambda n: ({f"k{k}": [1, 2] for k in range(n)}, {f"k{k}": [2, 1] for k in range(n)}),
    "numbers, sorted otherwise": lambda n: ([*range(n)], [*range(2 * n, n, -1)]),
    "rows, sorted otherwise": lambda n: (rows(n), changed([{**row, "id": -row["id"] - n} for row in rows(n)])),
    "many columns, sorted otherwise": lambda n: (
        [{f"k{j}": k for j in range(40)} for k in range(n // 40)],
        [{f"k{j}": -k - n for j in range(40)} for k in range(n // 40)],
    ),
    "many arrays, sorted otherwise": lambda n: ([[1, 2, 3]] * (n // 4), [[9, 8, 7]] * (n // 4)),
    "names within, shuffled": lambda n: (
        [{"p": {"id": k}, "v": 1} for k in range(n)],
        shuffled({"p": {"id": k}, "v": 2} for k in range(n)),
    ),
    "empty arrays and empty objects": lambda n: ([[] for _ in range(n)], [{} for _ in range(n)]),
}
MULTISET = settings(unordered={"$": None})
BY_ID = settings(unordered={"$": "i"})
ANYWHERE = settings(accept("$..x"))
BOTH = settings(accept("$..x"), unordered={"$": None})
RULED: dict[str, tuple[str, CompareSettings]] = {
    "unordered: numbers, all other": ("numbers, all other", MULTISET),
    "unordered: arrays of one, all other": ("arrays of one, all other", MULTISET),
    "unordered: pairs, turned": ("pairs, turned", MULTISET),
    "unordered: matrix, 3 wide": ("matrix, 3 wide", MULTISET),
    "unordered: small rows": ("small rows", MULTISET),
    "unordered: rows, shuffled and changed": ("rows, shuffled and changed", MULTISET),
    "unordered: rows, each with a name of its own": ("rows, each with a name of its own", MULTISET),
    "unordered by key: small rows": ("small rows", BY_ID),
    "accept: numbers, all other": ("numbers, all other", ANYWHERE),
    "accept: arrays of one, all other": ("arrays of one, all other", ANYWHERE),
    "accept: names, all other": ("names, all other", ANYWHERE),
    "accept: names, arrays all other": ("names, arrays all other", ANYWHERE),
    "accept: rows, each with a name of its own": ("rows, each with a name of its own", ANYWHERE),
    "accept: rows, shuffled and changed": ("rows, shuffled and changed", ANYWHERE),
    "accept and unordered: small rows": ("small rows", BOTH),
}
MAX_RULED_CALLS = 2_000_000
"""Where a rule reaches into an array, all of it is looked at before anything is said of it."""

ALIKE: dict[str, Callable[[int], Any]] = {
    "rows": rows,
    "numbers": lambda n: [*range(n)],
    "deep arrays": lambda n: [deep(k) for k in range(n // 10)],
    "arrays of one": lambda n: [[k] for k in range(n)],
}


def written(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def filled(make: Callable[[int], Pair]) -> tuple[bytes, bytes]:
    """Both bodies, as large as they may be."""
    count = 1000 * SIZE // max(map(len, map(written, make(1000))))
    while True:
        bodies = tuple(map(written, make(count)))
        if max(map(len, bodies)) <= SIZE:
            return bodies[0], bodies[1]
        count -= count // 30 + 1


def counted(
    legacy: bytes, candidate: bytes, rules: CompareSettings | None = None, media: str = "application/json"
) -> tuple[Comparison, int]:
    """The comparison, and how many calls it took."""
    calls = 0

    def count(frame: FrameType, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    response_head, other = response(legacy, media), response(candidate, media)
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        comparison = compared(response_head, other, rules)
    finally:
        sys.setprofile(before)
    return comparison, calls


@pytest.mark.parametrize("make", SHAPES.values(), ids=SHAPES)
def test_whatever_differs_the_effort_is_bounded(make: Callable[[int], Pair]) -> None:
    comparison, calls = counted(*filled(make))
    assert comparison.outcome is Outcome.MISMATCH
    assert calls <= MAX_CALLS


@pytest.mark.parametrize(("shape", "rules"), RULED.values(), ids=RULED)
def test_with_rules_the_effort_is_bounded_too(shape: str, rules: CompareSettings) -> None:
    comparison, calls = counted(*filled(SHAPES[shape]), rules)
    assert comparison.outcome is Outcome.MISMATCH
    assert calls <= MAX_RULED_CALLS


@pytest.mark.parametrize("make", ALIKE.values(), ids=ALIKE)
def test_equal_bodies_take_no_effort_beyond_parsing(make: Callable[[int], Any]) -> None:
    legacy, candidate = filled(lambda n: (make(n), make(n)))
    comparison, calls = counted(legacy, b" " + candidate)
    assert comparison.outcome is Outcome.MATCH
    assert calls <= 2 * legacy.count(b",") + 2 * legacy.count(b"[") + 200, "one for each number"


def parts_filled(make: Callable[[int, int], bytes], most: int = 10**9) -> tuple[bytes, bytes]:
    """Two multipart bodies, as large as they may be, with so many parts at most."""
    bodies = []
    for side in (1, 2):
        each = make(side, 0) + b"\r\n--b\r\n"
        count = min(most, SIZE // (len(each) + 12))
        bodies.append(b"--b\r\n" + b"\r\n--b\r\n".join(make(side, k) for k in range(count)) + b"\r\n--b--")
    return bodies[0], bodies[1]


PARTS: dict[str, Callable[[int, int], bytes]] = {
    "without headers": lambda side, k: b"\r\n%d" % (k * side),
    "fields, all other": lambda side, k: b'Content-Disposition: form-data; name="f%d-%d"\r\n\r\nx' % (side, k),
    "one field, all values other": lambda side, k: b'Content-Disposition: form-data; name="f"\r\n\r\n%d' % (k * side),
    "JSON": lambda side, k: b"Content-Type: application/json\r\n\r\n" + b'{"a":[%d,%d]}' % (side, k),
    "many headers": lambda side, k: b"A: b\r\n" * 100 + b"Content-Id: %d\r\n\r\n" % (k * side),
    "turned": lambda side, k: b"\r\n%d" % (k * (side == 1) or 3000 - k),
}


@pytest.mark.parametrize("most", [MAX_PARTS, 10**9], ids=["as many as are looked at", "as many as there may be"])
@pytest.mark.parametrize("media", ["multipart/form-data; boundary=b", "multipart/mixed; boundary=b"])
@pytest.mark.parametrize("make", PARTS.values(), ids=PARTS)
def test_parts_take_a_bounded_effort(make: Callable[[int, int], bytes], media: str, most: int) -> None:
    legacy, candidate = parts_filled(make, most)
    comparison, calls = counted(legacy, candidate, media=media)
    assert comparison.outcome is Outcome.MISMATCH
    assert calls <= MAX_CALLS


CUT: dict[str, Pair] = {
    "too long to be aligned": ([*range(MAX_ALIGNED)], [-1, *range(MAX_ALIGNED - 2), -2, -3]),
    "too many containers": (
        [[k] for k in range(MAX_CONTAINERS)],
        [[-1], *([k, k] for k in range(MAX_CONTAINERS - 2))],
    ),
    "too much that differs": ([[[1, 2]] for _ in range(MAX_WORK // 15)], [[[2, 1]] for _ in range(MAX_WORK // 15)]),
    "too many places": ({f"k{k}": k for k in range(MAX_PLACES + 1)}, {}),
}


@pytest.mark.parametrize(("legacy", "candidate"), CUT.values(), ids=CUT)
def test_a_comparison_that_is_cut_says_so_and_is_a_mismatch(legacy: Any, candidate: Any) -> None:
    for left, right in ((legacy, candidate), (candidate, legacy)):
        comparison = trees(left, right)
        assert (comparison.outcome, comparison.is_cut) == (Outcome.MISMATCH, True)
        assert comparison.differences


def twins(count: int, value: int) -> list[Any]:
    """Without anything that tells one from the other."""
    return [{"name": f"{k // 2:05}", "v": value} for k in range(count)]


def test_of_an_unordered_array_too_much_that_has_no_equal_is_cut() -> None:
    alike = twins(MAX_SORTED, 0)

    def of(unlike: int) -> Comparison:
        return trees([*alike, *twins(unlike, 1)], [*shuffled(twins(unlike, 2)), *alike[::-1]], MULTISET)

    assert [(d.path, d.count) for d in of(MAX_SORTED).differences] == [("$[*].v", MAX_SORTED)]
    assert not of(MAX_SORTED).is_cut
    assert (of(MAX_SORTED + 1).outcome, of(MAX_SORTED + 1).is_cut) == (Outcome.MISMATCH, True)
    assert all(d.count <= MAX_SORTED + 1 for d in of(MAX_SORTED + 1).differences), "equal ones stay partners"


def test_an_unordered_array_that_accept_rules_reach_into_is_not_cut() -> None:
    """Place by place the names would differ: a match would be taken away."""
    tolerant = settings(accept("$[*].v", abs="1"), unordered={"$": None})
    for count in (100, 2 * MAX_SORTED):
        comparison = trees(twins(count, 1), shuffled(twins(count, 2)), tolerant)
        assert (comparison.outcome, comparison.is_cut) == (Outcome.ACCEPTED, False)


def test_numbers_of_an_unordered_array_meet_the_next_one() -> None:
    tolerant = settings(accept("$[*]", abs="1"), unordered={"$": None})
    legacy, candidate = [*range(0, 90_000, 10)], shuffled(range(1, 90_000, 10))
    assert trees(legacy, candidate, tolerant).outcome is Outcome.ACCEPTED


@pytest.mark.parametrize("make", ALIKE.values(), ids=ALIKE)
def test_an_unordered_array_that_is_only_reordered_matches_at_any_size(make: Callable[[int], Any]) -> None:
    legacy, candidate = filled(lambda n: (make(n), shuffled(make(n))))
    assert compared(response(legacy), response(candidate), MULTISET).outcome is Outcome.MATCH


def test_one_that_is_not_cut_does_not_say_so() -> None:
    assert not trees(rows(300), changed(rows(300))).is_cut


@pytest.mark.parametrize("count", [100, 60_000], ids=["small", "beyond what is aligned"])
def test_a_cap_never_makes_a_match_nor_takes_one_away(count: int) -> None:
    """Where a rule reaches into an array it is aligned, whatever that takes: place by place there is no `order`."""
    listed = [{"v": k % 7, "at": 0} for k in range(count // 10)]
    turned = [{**row, "at": 1} for row in reversed(listed)]
    order = settings(accept("$", kind="order"), accept("$[*].at"))
    assert trees(listed, turned, order).outcome is Outcome.ACCEPTED
    assert trees(listed, turned, settings(accept("$[*].at"))).outcome is Outcome.MISMATCH
    assert trees(listed, turned, settings(accept("$[*].v", abs="9"), accept("$[*].at"))).outcome is Outcome.MISMATCH
    assert trees(list(range(count)), shuffled(range(count)), settings(unordered={"$": None})).outcome is Outcome.MATCH
    assert trees([*range(count)], shuffled(range(count))).outcome is Outcome.MISMATCH


def test_the_last_of_many_containers_is_found() -> None:
    """Nothing is given up before a difference is found."""
    legacy = [[[[[[[k]]]]]] for k in range(MAX_CONTAINERS)]
    candidate = [*legacy[:-1], [[[[[["other"]]]]]]]
    (difference,) = trees(legacy, candidate).differences
    assert difference.count == 1


def _print_table() -> None:
    shapes = {name: (make, settings()) for name, make in SHAPES.items()}
    shapes |= {name: (SHAPES[shape], rules) for name, (shape, rules) in RULED.items()}
    for name, (make, rules) in shapes.items():
        legacy, candidate = filled(make)
        times = []
        for _ in range(5):
            start = process_time()
            comparison = compared(response(legacy), response(candidate), rules)
            times.append(process_time() - start)
        calls = counted(legacy, candidate, rules)[1]
        cut = "cut" if comparison.is_cut else ""
        print(f"{name:44s} {1000 * min(times):6.1f} ms {calls:9,d} calls {cut}")


if __name__ == "__main__":
    _print_table()
