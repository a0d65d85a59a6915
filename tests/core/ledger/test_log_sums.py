"""The calls of an imported log, summed up: exactly where there is room, and with bounds where there is not."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strangler.core.ledger.first_template import first_template
from strangler.core.ledger.log_sums import Key, LogSumsState
from strangler.core.ledger.split_values import parse_split_key
from strangler.core.ledger.template_tree import TemplateTreeState

DAY = 86_400.0
BOUNDS = (0.1, 1.0)


def state(*, max_sums: int = 1000, names: tuple[str, ...] = (), by: tuple[str, ...] = ()) -> LogSumsState:
    def make_tree() -> TemplateTreeState:
        tree = TemplateTreeState()
        tree.name(names)
        return tree

    return LogSumsState(make_tree, BOUNDS, [parse_split_key(text) for text in by], max_sums)


def get(sums: LogSumsState, path: str, *, status: int = 200, agent: str = "curl/8.5.0", at: float = 0.0) -> None:
    sums.count("GET", path.encode(), b"", status, agent, at)


def test_calls_that_are_alike_are_one_sum_with_the_time_of_the_last() -> None:
    sums = state()
    for at in (5.0, 9.0, 7.0):
        get(sums, f"/orders/{at:.0f}", at=at)
    ((key, found),) = sums.finish()
    assert key == ("GET", "/orders/{}", 200, "curl/8", 0)
    assert (found.calls, found.at, found.buckets) == (3, 9.0, [])


@pytest.mark.parametrize(
    "other",
    [{"status": 500}, {"agent": "okhttp/4.12.0"}, {"at": DAY}, {"path": "/users/7"}],
    ids=["status", "caller", "day", "endpoint"],
)
def test_calls_that_differ_are_two_sums(other: dict[str, object]) -> None:
    sums = state()
    get(sums, "/orders/7")
    get(sums, **({"path": "/orders/7"} | other))  # type: ignore[arg-type]
    assert len(sums.finish()) == 2


def test_times_go_into_the_bucket_whose_bound_they_do_not_exceed() -> None:
    sums = state()
    for seconds in (0.05, 0.1, 0.5, 1.5):
        sums.count("GET", b"/a", b"", 200, "", 0.0, seconds)
    get(sums, "/a", agent="")
    ((_, found),) = sums.finish()
    assert (found.calls, found.buckets) == (5, [2, 1, 1])


def test_a_day_begins_with_what_was_served_so_that_refusals_of_a_living_endpoint_are_no_probes() -> None:
    sums = state()
    get(sums, "/a", status=404, at=1.0)
    get(sums, "/a", at=2.0)
    get(sums, "/a", status=404, at=DAY - 1)
    get(sums, "/a", at=DAY)
    assert [(key[2], key[4]) for key, _ in sums.finish()] == [(200, 0), (404, 0), (200, 1)]


def test_a_template_and_a_method_have_bounded_lengths() -> None:
    sums = state()
    get(sums, "/" + "/".join(16 * ["%25" * 60]))
    sums.count("G" * 50, b"/a", b"", 200, "", 0.0)
    first, second = (key[:2] for key in keys(sums))
    assert len(first[1]) <= 512
    assert first[1].endswith("/{...}")
    assert second == ("*", "…")


def test_an_example_holds_no_secret() -> None:
    sums = state()
    get(sums, "/users/ana@example.com/orders/7")
    assert sums.example("GET", "/users/{}/orders/{}") == "/users/*@*/orders/7"


def test_a_number_that_the_operator_has_named_is_a_word() -> None:
    sums = state(names=("/reports/2024",))
    get(sums, "/reports/2024")
    get(sums, "/reports/2025")
    assert {key[1] for key, _ in sums.finish()} == {"/reports/2024", "/reports/{}"}


def test_a_parameter_splits_an_endpoint_and_a_field_that_no_log_has_does_not() -> None:
    sums = state(by=("query:action", "header:SOAPAction"))
    sums.count("GET", b"/index.php", b"id=7&action=list", 200, "", 0.0)
    ((key, _),) = sums.finish()
    assert key[1] == "/index.php?action=list"


@given(
    st.lists(st.sampled_from(["/a", "/orders/7", "/7/x", "/a-8/", "/1b", "/0b6f9a4e-3c1d-4b7a-9f21-6d5e8c7b0a19/x"]))
)
def test_a_template_is_that_of_the_path_alone(paths: list[str]) -> None:
    sums = state()
    for path in paths:
        get(sums, path)
    expected = Counter(first_template(path.encode()) for path in paths)
    assert {key[1]: found.calls for key, found in sums.finish()} == expected


def total(sums: LogSumsState) -> int:
    return sum(found.calls for _, found in sums.finish())


def keys(sums: LogSumsState) -> list[Key]:
    return [key for key, _ in sums.finish()]


def test_many_words_at_one_place_fold_when_there_is_no_room() -> None:
    sums = state(max_sums=200)
    words = [f"{first}{second}{third}" for first in "bdfklm" for second in "aeiou" for third in "nrstvwxyz"]
    for word in words:
        get(sums, f"/shops/{word}/")
        get(sums, "/about")
    calls: Counter[str] = Counter()
    for key, found in sums.finish():
        calls[key[1]] += found.calls
    assert len(calls) <= 12
    assert calls["/about"] == len(words)
    assert calls["/shops/{}/"] >= len(words) - 10
    assert total(sums) == sums.calls == 2 * len(words)


def test_a_fold_keeps_enough_words_for_another_tree_to_learn_it() -> None:
    sums = state(max_sums=2000)
    for number in range(6000):
        word = "".join("bdfgklmnpr"[int(digit)] + "aeiou"[int(digit) // 2] for digit in f"{number:04}")
        get(sums, f"/shops/{word}/")
    tree = TemplateTreeState()
    for key, found in sums.finish():
        tree.learn_first(key[1], found.calls)
    assert len(keys(sums)) <= 101
    assert tree.template_of(b"/shops/another/") == "/shops/{}/"


def test_the_rarest_callers_lose_their_names_first() -> None:
    sums = state(max_sums=100)
    for number in range(300):
        get(sums, "/a", agent=f"client{chr(97 + number % 26)}{chr(97 + number // 26)}/1.0")
        get(sums, "/a", agent="okhttp/4.12.0")
    found = {key[3]: found.calls for key, found in sums.finish()}
    assert found["okhttp/4"] == 300
    assert found["…"] > 100
    assert len(found) <= 100
    assert total(sums) == 600


def test_what_scanners_ask_for_makes_room_for_endpoints() -> None:
    sums = state(max_sums=100)
    for number in range(500):
        get(sums, f"/{chr(97 + number % 26)}x{chr(97 + number // 26)}.php", status=404)
        get(sums, f"/endpoint{chr(97 + number % 20)}", status=200)
    assert {key[1] for key in keys(sums) if key[2] == 200} == {f"/endpoint{chr(97 + number)}" for number in range(20)}
    assert "…" in {key[1] for key in keys(sums)}
    assert total(sums) == 1000


def test_days_become_months_rather_than_lose_an_endpoint() -> None:
    sums = state(max_sums=100)
    for day in range(400):
        get(sums, "/a", at=day * DAY)
        get(sums, "/b", at=day * DAY)
    assert sums.is_by_month
    assert {key[1] for key in keys(sums)} == {"/a", "/b"}
    assert max(found.at for _, found in sums.finish()) == 399 * DAY
    assert total(sums) == 800


@pytest.mark.parametrize("method", ["GET", "METHOD"], ids=["paths", "methods"])
def test_no_log_makes_more_sums_than_the_bound(method: str) -> None:
    sums = state(max_sums=300)
    for number in range(5000):
        name = f"{method}{number}" if method == "METHOD" else method
        path = f"/{'abcdefgh'[number % 8]}/{number:x}/{'/'.join(str(number))}x{number}".encode()
        sums.count(name, path, b"", 200 + number % 7, f"tool{number % 90}/1.0", number * DAY / 10)
        assert len(sums.sums) <= 300
    assert total(sums) == 5000


def test_a_later_bound_is_kept_as_well() -> None:
    sums = state()
    for number in range(400):
        get(sums, f"/page{chr(97 + number % 20)}", agent=f"tool{chr(97 + number // 20)}/1.0", at=number * 90.0)
    before = len(sums.sums)
    sums.shrink(before // 4)
    assert len(sums.sums) <= before // 4
    assert total(sums) == 400
