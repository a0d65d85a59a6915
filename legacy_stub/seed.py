"""The shop's first data. The same seed gives the same rows, so that legacy and candidate start alike."""

import json
import random
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

USERS = 200
ORDERS = 240
STATUSES = ("placed", "paid", "packed", "shipped", "delivered", "cancelled")
PASSWORD = "open-sesame"  # of every user

_OPENED = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
_FIRST_NAMES = ("Ana", "Björn", "Chioma", "Dmitri", "Elif", "Farah", "Goran", "Hana", "Ines", "Jörg")
_LAST_NAMES = ("Okafor", "Petrova", "Silva", "Tanaka", "Umar", "Vargas", "Weiß", "Young")
_CITIES = ("Lisbon", "Kraków", "Izmir", "Nairobi", "Osaka", "Quito", "Tromsø")
_TAGS = ("express", "gift", "fragile", "invoice", "loyalty", "pickup")
_NOTES = (None, None, "Happy birthday!", "Thank you for everything", "Für dich ♥")
_PRODUCTS = (
    ("MUG-01", "Mug, speckled", 1290),
    ("MUG-02", "Mug, blue", 1290),
    ("TEA-01", "Green tea, 100 g", 875),
    ("TEA-02", "Black tea, 250 g", 1449),
    ("POT-01", "Teapot, cast iron", 5995),
    ("KET-01", "Kettle, 1.5 l", 4350),
    ("TIN-01", "Tea tin", 999),
    ("SPO-01", "Spoon, olive wood", 450),
    ("TRA-01", "Tray, bamboo", 2199),
    ("BOK-01", "The book of tea", 1800),
    ("CAN-01", "Candle, beeswax", 725),
    ("CLO-01", "Tea towel, linen", 1150),
)


def fill(database: sqlite3.Connection, seed: int) -> None:
    """Write users, products, orders and their lines into an empty database."""
    dice = random.Random(seed)
    database.executemany("INSERT INTO users VALUES (?, ?, ?, ?)", _users(dice))
    database.executemany("INSERT INTO products VALUES (?, ?, ?)", _PRODUCTS)
    for number in range(1, ORDERS + 1):
        _fill_order(database, dice, number)


def _users(dice: random.Random) -> Iterator[tuple[int, str, str, str]]:
    for number in range(1, USERS + 1):
        first, last = dice.choice(_FIRST_NAMES), dice.choice(_LAST_NAMES)
        yield number, f"{first} {last}", f"user{number}@shop.example", dice.choice(_CITIES)


def _fill_order(database: sqlite3.Connection, dice: random.Random, number: int) -> None:
    placed = _OPENED + timedelta(minutes=97 * number)
    database.execute(
        "INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)",
        (
            number,
            dice.randint(1, USERS),
            dice.choice(STATUSES),
            placed.strftime("%Y-%m-%dT%H:%M:%SZ"),
            json.dumps(dice.sample(_TAGS, k=3)),
            dice.choice(_NOTES),
        ),
    )
    lines = dice.sample(_PRODUCTS, k=dice.randint(1, 3))
    database.executemany(
        "INSERT INTO order_lines VALUES (?, ?, ?, ?)",
        [(number, sku, dice.randint(1, 4), cents) for sku, _, cents in lines],
    )
