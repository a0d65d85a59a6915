"""The differences of the candidate's responses from legacy's: the one table that the candidate follows and tests read.

A drift of orders has the function that changes an order; the pages look up by name whether they have theirs. Kinds and
severities are those of the comparer; `noise` marks a difference that legacy also shows against itself.

The table leaves out what does not count as a difference: validators, tokens and nonces, prefixes of namespaces,
boundaries of multipart, the order and quoting of attributes. The candidate writes all of these in its own way.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from legacy_stub.shop import Json

ORDER, ORDERS = "GET /api/orders/{}", "GET /api/orders"
PRODUCT, PUT_IN_CART = "GET /products/{}", "POST /products/{}/cart"

CENTS_LOST = "cents-lost"
SEE_OTHER = "see-other"


def _same(order: Json) -> Json:
    return order


@dataclass(frozen=True, slots=True)
class Drift:
    """One known difference between the responses of legacy and candidate.

    name: for `--fixed`. places: endpoint -> its place there; None means the status. apply: legacy's order -> the
    candidate's.
    """

    name: str
    why: str
    places: Mapping[str, str | None]
    kind: str
    severity: str
    apply: Callable[[Json], Json] = _same
    noise: bool = False


def _in_orders(field: str) -> dict[str, str | None]:
    return {ORDER: f"$.{field}", ORDERS: f"$.items[*].{field}"}


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


DRIFTS: tuple[Drift, ...] = (
    Drift("price-as-text", "a decimal is sent as text", _in_orders("price"), "type", "breaking", _price_as_text),
    Drift("gift-note-forgotten", "a field is gone", _in_orders("gift_note"), "missing", "breaking", _without_gift_note),
    Drift("tags-sorted", "tags come sorted", _in_orders("tags"), "order", "risky", _with_tags_sorted),
    Drift("warehouse", "a new field", _in_orders("warehouse"), "extra", "additive", _with_warehouse),
    Drift(
        "other-offset", "the same instant at another offset", _in_orders("placed_at"), "value", "value", _with_offset
    ),
    Drift(
        "generated-at",
        "the time of the response",
        {ORDER: "$.generated_at", ORDERS: "$.generated_at"},
        "value",
        "value",
        noise=True,
    ),
    Drift(CENTS_LOST, "a price loses its last zero", {PRODUCT: "main > .price"}, "value", "value"),
    Drift(SEE_OTHER, "a post is redirected by 303, not by 302", {PUT_IN_CART: None}, "value", "risky"),
)

NAMES = tuple(drift.name for drift in DRIFTS if not drift.noise)


def drifted(order: Json, names: frozenset[str] = frozenset(NAMES)) -> Json:
    """Return an order as a candidate with these drifts sends it."""
    for drift in DRIFTS:
        if drift.name in names:
            order = drift.apply(order)
    return order
