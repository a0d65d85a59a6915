"""The benchmark of what watching costs does what it says: it runs, and each variant leaves its part out."""

from io import StringIO

from rich.console import Console

from benchmarks.costs import VARIANTS, costs, table


def test_every_variant_is_measured_and_told() -> None:
    found = costs(count=20, rounds=1)
    assert set(found) == {variant.name for variant in VARIANTS}
    assert all(spent > 0 for spent in found.values())
    console = Console(file=StringIO(), width=80)
    figures = {"as it is": 30.0, "metrics": 29.0, "ledger": 29.25, "all four": 20.0}
    figures |= {"each path new": 40.0, "ledger, each path new": 35.0, "with a rollout": 32.0, "rollout": 30.5}
    console.print(table(figures))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    printed = [line.split()[-1] for line in text.splitlines()[1:]]
    assert printed == ["30.0", "1.00", "0.75", "10.00", "40.0", "5.00", "32.0", "1.50"]
