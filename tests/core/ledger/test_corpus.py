"""The labelled corpus: how far templates agree with what a person says, by pairs of paths."""

import re

import pytest

from strangler.core.ledger.first_template import first_template
from strangler.core.ledger.template_tree import TemplateTreeState
from tests.core.ledger.corpus_pairs import Agreement, Labelled, agreement, read_style, style_names, traffic

LEAST_PRECISION = 0.99
LEAST_RECALL = 0.97
LEAST_RECALL_OF_A_STYLE = 0.86
HELD_OUT = "held_out"
"""Written by somebody who had not seen the code, with few values and few calls each, so that little tells them."""
LEAST_RECALL_HELD_OUT = 0.5
SPLIT = re.compile(r"\?action=|#SOAPAction=")


def first(path: str) -> str:
    """Return the first template of a line of the corpus, which may end with a value that splits its path."""
    found = SPLIT.search(path)
    return (
        first_template(path.encode())
        if found is None
        else first_template(path[: found.start()].encode()) + path[found.start() :]
    )


def learned(calls: list[str]) -> TemplateTreeState:
    tree = TemplateTreeState()
    for path in calls:
        tree.learn_first(first(path))
    return tree


def measured(rows: list[Labelled], tree: TemplateTreeState) -> Agreement:
    return agreement(rows, lambda path: tree.template_of_first(first(path)))


def text_of(name: str, found: Agreement) -> str:
    return f"{name:20} precision {found.precision:.4f}, recall {found.recall:.4f}"


@pytest.mark.parametrize("seed", [1, 2])
def test_templates_agree_with_the_corpus(seed: int, capsys: pytest.CaptureFixture[str]) -> None:
    lines, found = [], {}
    for name in style_names():
        rows = read_style(name)
        found[name] = measured(rows, learned(traffic(rows, seed)))
        lines.append(text_of(name, found[name]))
    tuned = [each for name, each in found.items() if not name.startswith(HELD_OUT)]
    for title, each in (
        ("tuned on", tuned),
        ("held out", [found[name] for name in found if name.startswith(HELD_OUT)]),
    ):
        total = sum(each, Agreement())
        lines.append(text_of(title, total))
    with capsys.disabled():
        print("", *lines, sep="\n")
    assert (
        sum((found[name] for name in found if name.startswith(HELD_OUT)), Agreement()).recall >= LEAST_RECALL_HELD_OUT
    )
    total = sum(tuned, Agreement())
    assert len(tuned) >= 8
    assert total.precision >= LEAST_PRECISION
    assert total.recall >= LEAST_RECALL
    assert sum(each.recall for each in tuned) / len(tuned) >= LEAST_RECALL
    assert min(each.precision for each in found.values()) >= LEAST_PRECISION
    assert min(each.recall for each in tuned) >= LEAST_RECALL_OF_A_STYLE


def test_sums_lead_to_nearly_the_same_as_single_calls() -> None:
    """Workers send sums: all calls of a path at once, in any order."""
    total = Agreement()
    for name in style_names():
        rows, tree = read_style(name), TemplateTreeState()
        for row in sorted(rows, key=lambda row: row.path[::-1]):
            tree.learn_first(first(row.path), row.calls)
        if not name.startswith(HELD_OUT):
            total += measured(rows, tree)
    assert total.precision >= LEAST_PRECISION
    assert total.recall >= 0.93
