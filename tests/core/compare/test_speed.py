"""Time grows with the size and not with its square: twice the input, about twice the time.

Ratios of processor time, best of several runs, so that a busy machine does not decide. Without the garbage collector:
its pauses hang on all objects of the process, those of other tests too.
"""

import gc
import json
from collections.abc import Callable, Iterator
from random import Random
from time import process_time
from typing import Any

import pytest

from strangler.core.compare import Redactor
from tests.core.compare.responses import compared, response

SIZE = 400


@pytest.fixture(autouse=True)
def _without_garbage_collection() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def rows(count: int) -> list[Any]:
    return [{"id": n, "name": f"customer {n}", "at": n * 7 % 1000, "tags": ["a", "b"]} for n in range(count)]


def shuffled(values: list[Any]) -> list[Any]:
    return Random(1).sample(values, len(values))


def changed_rows(count: int) -> list[Any]:
    return [{**row, "at": -1} for row in rows(count)]


def bits(count: int, seed: int) -> list[int]:
    random = Random(seed)
    return [random.randrange(2) for _ in range(count * 8)]


def chain(count: int, leaf: int) -> Any:
    """Nested to a fixed depth, with arrays on every level that have to be aligned."""
    nested: Any = [*range(count * 6), leaf]
    for _ in range(150):
        nested = ["x", nested]
    return nested


CASES: dict[str, Callable[[int], tuple[Any, Any]]] = {
    "rows shuffled": lambda n: (rows(n), shuffled(rows(n))),
    "rows changed": lambda n: (rows(n), changed_rows(n)),
    "rows changed and one in front": lambda n: (rows(n), [{"id": -1}, *changed_rows(n)]),
    "rows reversed and changed": lambda n: (rows(n), changed_rows(n)[::-1]),
    "numbers shuffled": lambda n: (list(range(n * 8)), shuffled(list(range(n * 8)))),
    "numbers all other": lambda n: (list(range(n * 8)), list(range(n * 8, n * 16))),
    "repeating numbers thinned out": lambda n: (
        [k % 10 for k in range(n * 8)],
        [k % 10 for k in range(n * 8) if k % 7],
    ),
    "random bits": lambda n: (bits(n, 1), bits(n, 2)),
    "random bits and one more": lambda n: (bits(n, 1), [*bits(n, 2), 1]),
    "small arrays changed": lambda n: ([[k] for k in range(n * 2)], [[k, 0] for k in range(n * 2)]),
    "deep": lambda n: (chain(n, 1), chain(n, 2)),
    "many keys": lambda n: ({f"k{k}": k for k in range(n * 4)}, {f"j{k}": k for k in range(n * 4)}),
}


def best_time(pair: tuple[Any, Any]) -> float:
    legacy, candidate = response(json.dumps(pair[0]).encode()), response(json.dumps(pair[1]).encode())
    times = []
    for _ in range(4):
        start = process_time()
        compared(legacy, candidate)
        times.append(process_time() - start)
    return min(times)


@pytest.mark.parametrize("pair_of", CASES.values(), ids=CASES)
def test_twice_the_input_takes_about_twice_the_time(pair_of: Callable[[int], tuple[Any, Any]]) -> None:
    ratios = []
    for _ in range(3):
        ratios.append(best_time(pair_of(2 * SIZE)) / best_time(pair_of(SIZE)))
        if ratios[-1] <= 2.5:
            return
    pytest.fail(f"twice the input took {min(ratios):.2f} times as long")


def row(at: int, price: str, body: str = "p") -> str:
    return f"<li class='row' id='row-{at}'><a href='/{at}'>Item {at}</a> <{body} class='price'>{price}</{body}></li>"


PAGES: dict[str, Callable[[int], tuple[str, str]]] = {
    "rows changed": lambda n: ("".join(row(k, "1") for k in range(n)), "".join(row(k, "2") for k in range(n))),
    "rows changed and one in front": lambda n: (
        "".join(row(k, "1") for k in range(n)),
        "".join(row(k, "2") for k in range(-1, n)),
    ),
    "rows shuffled": lambda n: (
        "".join(row(k, "1") for k in range(n)),
        "".join(shuffled([row(k, "1") for k in range(n)])),
    ),
    "rows of other tags": lambda n: (
        "".join(row(k, "1") for k in range(n)),
        "".join(row(k, "1", "b") for k in range(n)),
    ),
    "nothing in common": lambda n: ("<p>a</p>" * n, "<b>c</b>" * n),
    "texts": lambda n: ("".join(f"<i>{k}</i>a" for k in range(n)), "".join(f"<i>{k}</i>b" for k in range(n))),
}


@pytest.mark.parametrize("pair_of", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("media", ["text/html", "text/xml"])
def test_twice_the_markup_takes_about_twice_the_time(pair_of: Callable[[int], tuple[str, str]], media: str) -> None:
    def time_of(size: int) -> float:
        legacy, candidate = (response(f"<ul>{text}</ul>".encode(), media) for text in pair_of(size))
        times = []
        for _ in range(4):
            start = process_time()
            compared(legacy, candidate)
            times.append(process_time() - start)
        return min(times)

    ratios = []
    for _ in range(3):
        ratios.append(time_of(2 * SIZE) / time_of(SIZE))
        if ratios[-1] <= 2.5:
            return
    pytest.fail(f"twice the input took {min(ratios):.2f} times as long")


REDACTOR = Redactor.of(b"key", ["$..email"])
TEXTS = {
    "names": "token",
    "assignments": "token:[",
    "quotes": 'token:"',
    "digits": "4111 ",
    "elements": "<token>",
    "ends of elements": "</token>",
    "addresses": "http://a:",
    "separators": "p-",
    "e-mail addresses": "joe@a.",
    "at signs": "a@",
    "IBANs": "DE89 3704 ",
    "phone numbers": "+49 ",
    "zeros": "0049",
    "tokens": "eyJ.",
    "keys": "-----BEGIN PRIVATE KEY-----",
    "layers of percent": "%25",
    "layers of entities": "&amp;",
    "layers of backslashes": "\\",
    "Base64": "eyJhYWFhYWFh ",
    "objects": "{",
    "comments": "<!--",
    "sections": "<![CDATA[",
    "scripts": "<script>",
    "parameters": "a=b&",
    "segments": "a/",
    "named values": "name=token value=",
    "attributes": "token a='' ",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_twice_the_text_takes_about_twice_the_time_to_redact(text: str) -> None:
    def time_of(repeats: int) -> float:
        start = process_time()
        REDACTOR.text(text * repeats)
        REDACTOR.markup(text * repeats, is_html=True)
        return process_time() - start

    small, large = (min(time_of(repeats) for _ in range(3)) for repeats in (1500, 3000))
    assert large / small <= 3
