"""Two responses side by side on a terminal, with what differs marked."""

from rich.table import Table
from rich.text import Text

from strangler.core.documents import KeptPair, KeptResponse
from strangler.store.evidence.side_by_side import Row, sides


def side_by_side(sample: KeptPair) -> Table:
    """Return a table with status, headers and body of both responses."""
    made = Table(box=None, header_style="bold", pad_edge=False, padding=(0, 1, 0, 0), expand=True)
    made.add_column(f"legacy{_took(sample.legacy)}", ratio=1, overflow="fold")
    made.add_column("", width=1)
    made.add_column(f"candidate{_took(sample.candidate)}", ratio=1, overflow="fold")
    head, body = sides(sample)
    for row in (*head, Row("", "", ""), *body):
        left, right = ("red", "green") if row.mark else ("dim", "dim")
        made.add_row(Text(row.legacy, style=left), row.mark, Text(row.candidate, style=right))
    return made


def _took(response: KeptResponse) -> str:
    return "" if response.duration_ms is None else f"  {response.duration_ms:.1f} ms"
