"""How the candidate's orders differ from legacy's: the one table that the candidate obeys and tests read.

A drift changes one order, so what the table says is what the candidate does. Kinds and severities are those
of the comparer; `noise` marks a difference that legacy also shows against itself.
"""

from collections.abc import Callable
from dataclasses import dataclass

from legacy_stub.shop import Json


@dataclass(frozen=True, slots=True)
class Drift:
    """One known difference between the answers of legacy and of the candidate.

    detail_path: where it shows in `GET /api/orders/{id}`; list_path: where in `GET /api/orders`.
    apply: legacy's order -> the candidate's.
    """

    why: str
    detail_path: str
    list_path: str
    kind: str
    severity: str
    apply: Callable[[Json], Json]
    noise: bool = False


def _price_as_text(order: Json) -> Json:
    return {**order, "price": f"{order['price']:.2f}"}


def _without_gift_note(order: Json) -> Json:
    return {name: value for name, value in order.items() if name != "gift_note"}


def _with_tags_sorted(order: Json) -> Json:
    return {**order, "tags": sorted(order["tags"])}


def _with_warehouse(order: Json) -> Json:
    return {**order, "warehouse": f"W{order['id'] % 3 + 1}"}


def _with_offset(order: Json) -> Json:
    return {**order, "placed_at": order["placed_at"].replace("Z", "+00:00")}


def _same(order: Json) -> Json:
    return order


DRIFTS: tuple[Drift, ...] = (
    Drift("a decimal is sent as text", "$.price", "$.items[*].price", "type", "breaking", _price_as_text),
    Drift(
        "a field was forgotten",
        "$.gift_note",
        "$.items[*].gift_note",
        "missing",
        "breaking",
        _without_gift_note,
    ),
    Drift("tags come sorted", "$.tags", "$.items[*].tags", "order", "risky", _with_tags_sorted),
    Drift("a new field", "$.warehouse", "$.items[*].warehouse", "extra", "additive", _with_warehouse),
    Drift(
        "the same instant, written with another offset",
        "$.placed_at",
        "$.items[*].placed_at",
        "value",
        "value",
        _with_offset,
    ),
    Drift("the time of the answer", "$.generated_at", "$.generated_at", "value", "value", _same, noise=True),
)


def drifted(order: Json) -> Json:
    """An order as the candidate tells it."""
    for drift in DRIFTS:
        order = drift.apply(order)
    return order
