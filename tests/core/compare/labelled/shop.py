"""A shop's API: one order, a page of products, a cart."""

import json
from typing import Any

from tests.core.compare.labelled import GONE, Pair, family
from tests.core.compare.responses import accept, response, settings

ORDER: dict[str, Any] = {
    "id": 10432,
    "number": "ORD-2026-10432",
    "status": "shipped",
    "created_at": "2026-11-20T09:14:03Z",
    "updated_at": "2026-11-22T17:40:55.120Z",
    "customer": {"id": 77, "name": "Ana Souza", "email": "ana@example.com", "phone": None, "vip": False},
    "items": [
        {"sku": "TS-001", "title": "T-shirt, blue", "quantity": 2, "price": "19.90", "tags": ["cotton", "summer"]},
        {"sku": "MG-114", "title": "Mug", "quantity": 1, "price": "7.50", "tags": []},
        {"sku": "BK-900", "title": "Notebook A5", "quantity": 3, "price": "4.25", "tags": ["paper"]},
    ],
    "totals": {"net": 60.05, "tax": 11.41, "gross": 71.46, "currency": "EUR"},
    "shipping": {"carrier": "DHL", "tracking": ["JD014600003"], "address": {"street": "Rua Nova 5", "city": "Porto"}},
    "notes": "",
    "meta": {"request_id": "0f9c1a34-5b1f-4d0a-9a55-5b6a4a1f0c11", "generated_at": "2026-11-23T08:00:00.123Z"},
}
NEW_ITEM = {"sku": "PN-003", "title": "Pen", "quantity": 1, "price": "1.10", "tags": []}


def cheaper(items: list[Any]) -> list[Any]:
    return [{**item, "price": f"{float(item['price']) - 1:.2f}"} for item in items]


def numeric(items: list[Any]) -> list[Any]:
    return [{**item, "price": float(item["price"])} for item in items]


DRIFTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "price became a number": ({"items": numeric}, {"type $.items[*].price"}),
    "one price became a number": ({"items.1.price": 7.5}, {"type $.items[*].price"}),
    "id became a string": ({"id": "10432"}, {"type $.id"}),
    "name is lost": ({"customer.name": GONE}, {"missing $.customer.name"}),
    "customer is lost": ({"customer": GONE}, {"missing $.customer"}),
    "customer is null": ({"customer": None}, {"type $.customer"}),
    "phone is filled in": ({"customer.phone": "+351 1"}, {"type $.customer.phone"}),
    "phone is dropped when null": ({"customer.phone": GONE}, {"missing $.customer.phone"}),
    "flag became a number": ({"customer.vip": 0}, {"type $.customer.vip"}),
    "flag turned": ({"customer.vip": True}, {"value $.customer.vip"}),
    "new field": ({"customer.loyalty": "gold"}, {"extra $.customer.loyalty"}),
    "new object": ({"links": {"self": "/orders/10432"}}, {"extra $.links"}),
    "status in another case": ({"status": "SHIPPED"}, {"value $.status"}),
    "status is a code": ({"status": 4}, {"type $.status"}),
    "rounding": ({"totals.tax": 11.409}, {"value $.totals.tax"}),
    "cents": ({"totals.gross": 7146}, {"value $.totals.gross"}),
    "totals as strings": (
        {"totals.net": "60.05", "totals.tax": "11.41", "totals.gross": "71.46"},
        {"type $.totals.net", "type $.totals.tax", "type $.totals.gross"},
    ),
    "date without zone": ({"created_at": "2026-11-20T09:14:03"}, {"value $.created_at"}),
    "date as a number": ({"created_at": 1795166043}, {"type $.created_at"}),
    "field renamed": ({"notes": GONE, "note": ""}, {"missing $.notes", "extra $.note"}),
    "camel case": (
        {"created_at": GONE, "createdAt": ORDER["created_at"]},
        {"missing $.created_at", "extra $.createdAt"},
    ),
    "items sorted by sku": ({"items": lambda items: sorted(items, key=lambda i: i["sku"])}, {"order $.items"}),
    "items reversed": ({"items": lambda items: items[::-1]}, {"order $.items"}),
    "first item lost": ({"items.0": GONE}, {"length $.items"}),
    "last item lost": ({"items.2": GONE}, {"length $.items"}),
    "no items": ({"items": []}, {"length $.items"}),
    "item put in front": ({"items": lambda items: [NEW_ITEM, *items]}, {"length $.items"}),
    "item put between": ({"items": lambda items: [items[0], NEW_ITEM, *items[1:]]}, {"length $.items"}),
    "item doubled": ({"items": lambda items: [items[0], *items]}, {"length $.items"}),
    "one item replaced": (
        {"items.1": NEW_ITEM},
        {"value $.items[*].sku", "value $.items[*].title", "value $.items[*].price"},
    ),
    "all prices changed": ({"items": cheaper}, {"value $.items[*].price"}),
    "all prices changed and one in front": (
        {"items": lambda items: [NEW_ITEM, *cheaper(items)]},
        {"length $.items", "value $.items[*].price"},
    ),
    "all prices changed and first lost": (
        {"items": lambda items: cheaper(items)[1:]},
        {"length $.items", "value $.items[*].price"},
    ),
    "all prices changed and reversed": (
        {"items": lambda items: cheaper(items)[::-1]},
        {"order $.items", "value $.items[*].price"},
    ),
    "items as a map": ({"items": lambda items: {item["sku"]: item for item in items}}, {"type $.items"}),
    "a single item instead of a list": ({"items": lambda items: items[0]}, {"type $.items"}),
    "tags are null instead of empty": ({"items.1.tags": None}, {"type $.items[*].tags"}),
    "tag added": ({"items.0.tags": ["cotton", "summer", "new"]}, {"length $.items[*].tags"}),
    "tags in another order": ({"items.0.tags": ["summer", "cotton"]}, {"order $.items[*].tags"}),
    "tag changed": ({"items.0.tags": ["cotton", "winter"]}, {"value $.items[*].tags[*]"}),
    "quantity as text in one item": ({"items.2.quantity": "3"}, {"type $.items[*].quantity"}),
    "field lost in every item": (
        {"items": lambda items: [{k: v for k, v in item.items() if k != "title"} for item in items]},
        {"missing $.items[*].title"},
    ),
    "field new in every item": (
        {"items": lambda items: [{**item, "unit": "pc"} for item in items]},
        {"extra $.items[*].unit"},
    ),
    "address flattened": (
        {"shipping.address": GONE, "shipping.street": "Rua Nova 5", "shipping.city": "Porto"},
        {"missing $.shipping.address", "extra $.shipping.street", "extra $.shipping.city"},
    ),
    "second parcel": ({"shipping.tracking": ["JD014600003", "JD014600004"]}, {"length $.shipping.tracking"}),
    "empty text became null": ({"notes": None}, {"type $.notes"}),
    "trailing blank": ({"number": "ORD-2026-10432 "}, {"value $.number"}),
    "several drifts": (
        {"id": "10432", "customer.email": GONE, "totals.tax": 11.4, "version": 2},
        {"type $.id", "missing $.customer.email", "value $.totals.tax", "extra $.version"},
    ),
}
SAME: dict[str, tuple[dict[str, Any], set[str]]] = {
    "nothing": ({}, set()),
    "whole number with a fraction": ({"id": 10432.0}, set()),
    "keys in another order": ({"customer": lambda c: dict(reversed(c.items()))}, set()),
    "keys of items in another order": ({"items": lambda items: [dict(reversed(i.items())) for i in items]}, set()),
}
NOISE: dict[str, tuple[dict[str, Any], set[str]]] = {
    "request id": ({"meta.request_id": "99b1f3aa-1111-4d0a-9a55-5b6a4a1f0c12"}, {"value $.meta.request_id"}),
    "generated at": ({"meta.generated_at": "2026-11-23T08:00:00.301Z"}, {"value $.meta.generated_at"}),
    "both": (
        {"meta.request_id": "x", "meta.generated_at": "2026-11-23T08:00:00.9Z"},
        {"value $.meta.request_id", "value $.meta.generated_at"},
    ),
}
NOISE_RULES = settings(
    accept("$.meta", kind="value"),
    accept("$..updated_at"),
    accept("$.totals.tax", abs="0.01"),
    accept("$.notes", kind="type"),
)
ACCEPTED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "request id": ({"meta.request_id": "other"}, set()),
    "all of meta": ({"meta.request_id": "other", "meta.generated_at": "later"}, set()),
    "update time": ({"updated_at": "2026-11-22T17:40:56Z"}, set()),
    "update time is lost": ({"updated_at": GONE}, set()),
    "tax within a cent": ({"totals.tax": 11.42}, set()),
    "notes null": ({"notes": None}, set()),
    "noise of every sort": ({"meta.request_id": 1.5, "meta.generated_at": "x"}, {"type $.meta.request_id"}),
}
BEYOND: dict[str, tuple[dict[str, Any], set[str]]] = {
    "tax beyond a cent": ({"totals.tax": 11.43, "meta.request_id": "x"}, {"value $.totals.tax"}),
    "tax is text": ({"totals.tax": "11.41"}, {"type $.totals.tax"}),
    "meta is lost": ({"meta": GONE}, {"missing $.meta"}),
    "new field in meta": ({"meta.host": "a"}, {"extra $.meta.host"}),
    "notes changed": ({"notes": "x"}, {"value $.notes"}),
    "drift amid noise": (
        {"meta.request_id": "x", "updated_at": "y", "items.0.price": 19.9},
        {"type $.items[*].price"},
    ),
}
BY_SKU = settings(unordered={"$.items": "sku", "$.items[*].tags": None})
UNORDERED: dict[str, tuple[dict[str, Any], set[str]]] = {
    "reversed": ({"items": lambda items: items[::-1]}, set()),
    "reversed and tags reversed": (
        {"items": lambda items: [{**i, "tags": i["tags"][::-1]} for i in items[::-1]]},
        set(),
    ),
    "reversed and one price": (
        {"items": lambda items: [*items[:0:-1], {**items[0], "price": "20.00"}]},
        {"value $.items[*].price"},
    ),
    "one lost": ({"items.1": GONE}, {"missing $.items[*]"}),
    "one new": ({"items": lambda items: [NEW_ITEM, *items]}, {"extra $.items[*]"}),
    "one for another": ({"items.1": NEW_ITEM}, {"missing $.items[*]", "extra $.items[*]"}),
    "tag added": ({"items.0.tags": ["new", "summer", "cotton"]}, {"length $.items[*].tags"}),
}

PRODUCTS: dict[str, Any] = {
    "data": [
        {
            "id": 500 + n,
            "name": name,
            "price": {"amount": 1000 + 150 * n, "currency": "EUR"},
            "stock": 3 * n,
            "score": 0.5 + n / 7,
        }
        for n, name in enumerate(["Chair", "Table", "Lamp", "Sofa", "Desk", "Shelf", "Rug", "Bed"])
    ],
    "page": {"number": 1, "size": 8, "total": 214},
    "facets": {"colour": {"red": 12, "blue": 31}, "material": {"oak": 7}},
    "next": "/api/products?cursor=eyJpZCI6NTA3fQ",
    "took_ms": 12,
}


def scores(rows: list[Any]) -> list[Any]:
    return [{**row, "score": row["score"] + 0.0001} for row in rows]


LISTING: dict[str, tuple[dict[str, Any], set[str]]] = {
    "timing": ({"took_ms": 31}, {"value $.took_ms"}),
    "cursor": ({"next": "/api/products?cursor=eyJpZCI6NTA3fR"}, {"value $.next"}),
    "no next page": ({"next": None}, {"type $.next"}),
    "page smaller": ({"data": lambda rows: rows[:5], "page.size": 5}, {"length $.data", "value $.page.size"}),
    "off by one": (
        {"data": lambda rows: [*rows[1:], {**rows[0], "id": 508, "name": "Stool"}]},
        {"length $.data"},
    ),
    "ranking": ({"data": lambda rows: [rows[1], rows[0], *rows[2:]]}, {"order $.data"}),
    "scores": ({"data": scores}, {"value $.data[*].score"}),
    "scores and ranking": (
        {"data": lambda rows: scores([rows[3], *rows[:3], *rows[4:]])},
        {"order $.data", "value $.data[*].score"},
    ),
    "scores, one new, one lost": (
        {"data": lambda rows: scores([{**rows[0], "id": 999, "name": "Stool"}, *rows[:3], *rows[4:]])},
        {"length $.data", "value $.data[*].score"},
    ),
    "price flattened": (
        {"data": lambda rows: [{**row, "price": row["price"]["amount"]} for row in rows]},
        {"type $.data[*].price"},
    ),
    "one without stock": ({"data.4.stock": GONE}, {"missing $.data[*].stock"}),
    "one with unknown stock": ({"data.4.stock": None}, {"type $.data[*].stock"}),
    "facet count": ({"facets.colour.red": 13}, {"value $.facets.colour.red"}),
    "facet lost": ({"facets.material": GONE}, {"missing $.facets.material"}),
    "facet new": ({"facets.colour.green": 2}, {"extra $.facets.colour.green"}),
    "total as text": ({"page.total": "214"}, {"type $.page.total"}),
    "ids as text": (
        {"data": lambda rows: [{**row, "id": str(row["id"])} for row in rows]},
        {"type $.data[*].id"},
    ),
    "envelope renamed": ({"data": GONE, "items": PRODUCTS["data"]}, {"missing $.data", "extra $.items"}),
    "all rows lost their currency": (
        {"data": lambda rows: [{**row, "price": {"amount": row["price"]["amount"]}} for row in rows]},
        {"missing $.data[*].price.currency"},
    ),
}
ENVELOPES = [
    Pair("products: bare list", response(PRODUCTS), response(PRODUCTS["data"]), {("body", "$", "type")}),
    Pair("products: list wrapped", response(PRODUCTS["data"]), response(PRODUCTS), {("body", "$", "type")}),
    Pair(
        "products: bare list, one lost",
        response(PRODUCTS["data"]),
        response(PRODUCTS["data"][1:]),
        {("body", "$", "length")},
    ),
    Pair(
        "products: bare list, sorted",
        response(PRODUCTS["data"]),
        response(PRODUCTS["data"][::-1]),
        {("body", "$", "order")},
    ),
    Pair(
        "products: null for nothing",
        response([]),
        response(b"null"),
        {("body", "$", "type")},
    ),
    Pair("products: compact and indented", response(PRODUCTS), response(json.dumps(PRODUCTS, indent=2).encode())),
    Pair("order: escapes", response({"name": "Zoë ☕"}), response('{"name":"Zoë ☕"}'.encode())),
]

PAIRS = [
    *family("order", ORDER, DRIFTS),
    *family("order, same", ORDER, SAME),
    *family("order, noise", ORDER, NOISE),
    *(pair for pair in family("order, accepted", ORDER, ACCEPTED, NOISE_RULES, "accepted") if not pair.differences),
    *(pair for pair in family("order, accepted", ORDER, ACCEPTED, NOISE_RULES) if pair.differences),
    *family("order, beyond", ORDER, BEYOND, NOISE_RULES),
    *family("order, unordered", ORDER, UNORDERED, BY_SKU),
    *family("products", PRODUCTS, LISTING),
    *ENVELOPES,
]
