"""The labelled corpus of paths, and how far templates agree with it: counted by pairs of paths with one template."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent / "corpus"


@dataclass(frozen=True, slots=True)
class Labelled:
    """A path, how often it is called, and the template that a person gave it."""

    path: str
    calls: int
    template: str


def read_style(name: str) -> list[Labelled]:
    """Return the paths of one style of application."""
    lines = [line for line in (FOLDER / f"{name}.txt").read_text().splitlines() if not line.startswith("#")]
    rows = [line.split(" ") for line in lines]
    return [Labelled(path, int(calls), template) for calls, path, template in rows]


def style_names() -> list[str]:
    return sorted(file.stem for file in FOLDER.glob("*.txt"))


def traffic(rows: Iterable[Labelled], seed: int) -> list[str]:
    """Return the calls of a style one by one, in an order of chance."""
    calls = [row.path for row in rows for _ in range(row.calls)]
    random.Random(seed).shuffle(calls)
    return calls


@dataclass(frozen=True, slots=True)
class Agreement:
    """Pairs of paths: with one template in both, in ours, and in the corpus."""

    both: int = 0
    ours: int = 0
    labelled: int = 0

    def __add__(self, other: "Agreement") -> "Agreement":
        return Agreement(self.both + other.both, self.ours + other.ours, self.labelled + other.labelled)

    @property
    def precision(self) -> float:
        return self.both / self.ours if self.ours else 1.0

    @property
    def recall(self) -> float:
        return self.both / self.labelled if self.labelled else 1.0


def agreement(rows: Iterable[Labelled], template_of: Callable[[str], str]) -> Agreement:
    """Return how far a function agrees with the corpus, each path counted once."""
    found = [(template_of(row.path), row.template) for row in rows]
    return Agreement(
        pairs(Counter(found)), pairs(Counter(ours for ours, _ in found)), pairs(Counter(label for _, label in found))
    )


def pairs(counts: Mapping[object, int]) -> int:
    return sum(count * (count - 1) // 2 for count in counts.values())
