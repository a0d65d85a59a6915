"""The shop's data: one SQLite connection and the queries of the pages and the API.

Queries run on the event loop: each takes some ten microseconds, and a monolith does the same.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from legacy_stub import seed

Json = dict[str, Any]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS users (id INTEGER PRIMARY KEY, name TEXT, email TEXT, city TEXT);
CREATE TABLE IF NOT EXISTS products (sku TEXT PRIMARY KEY, name TEXT, cents INTEGER);
CREATE TABLE IF NOT EXISTS orders
    (id INTEGER PRIMARY KEY, user_id INTEGER, status TEXT, placed_at TEXT, tags TEXT, gift_note TEXT);
CREATE TABLE IF NOT EXISTS order_lines (order_id INTEGER, sku TEXT, quantity INTEGER, cents INTEGER);
CREATE INDEX IF NOT EXISTS lines_of_order ON order_lines (order_id);
CREATE TABLE IF NOT EXISTS sessions (sid TEXT PRIMARY KEY, user_id INTEGER, csrf TEXT, visits INTEGER);
CREATE TABLE IF NOT EXISTS cart_lines (sid TEXT, sku TEXT, quantity INTEGER, PRIMARY KEY (sid, sku));
CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, name TEXT, content_type TEXT, bytes INTEGER);
"""


@dataclass(frozen=True, slots=True)
class Session:
    """A visitor. `user_id` is None until login; `visits` counts the requests that came with this session."""

    sid: str
    user_id: int | None
    csrf: str
    visits: int = 1


@dataclass(frozen=True, slots=True)
class OrderFilter:
    """The query of `GET /api/orders`; `page` counts from 1."""

    status: str | None = None
    user_id: int | None = None
    page: int = 1
    per_page: int = 20


def new_session(user_id: int | None = None, visits: int = 1) -> Session:
    """Return a session under a new id, which is not stored yet."""
    return Session(secrets.token_hex(16), user_id, secrets.token_hex(8), visits)


class UnknownSku(LookupError):
    """An order or a cart names a product that the shop does not sell."""


class Shop:
    """Users, products, orders, sessions, carts and the list of uploaded files.

    data: a SQLite file that several processes may share, or None for a database in memory. An empty database is filled.
    """

    def __init__(self, data: Path | None = None, seed_number: int = 1) -> None:
        self._database = sqlite3.connect(data or ":memory:", timeout=10, isolation_level=None)
        self._database.row_factory = sqlite3.Row
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.executescript(_SCHEMA)
        with self._writing():
            if self._row("SELECT 1 FROM users") is None:
                seed.fill(self._database, seed_number)

    def close(self) -> None:
        self._database.close()

    # Users and products

    def users(self) -> list[Json]:
        return [dict(row) for row in self._all("SELECT * FROM users ORDER BY id")]

    def user(self, user_id: int) -> Json | None:
        row = self._row("SELECT * FROM users WHERE id = ?", user_id)
        return dict(row) if row else None

    def user_id_of(self, email: str) -> int | None:
        row = self._row("SELECT id FROM users WHERE email = ?", email)
        return row["id"] if row else None

    def products(self) -> list[Json]:
        return [dict(row) for row in self._all("SELECT * FROM products ORDER BY name")]

    def product(self, sku: str) -> Json | None:
        row = self._row("SELECT * FROM products WHERE sku = ?", sku)
        return dict(row) if row else None

    # Orders

    def orders(self, order_filter: OrderFilter) -> tuple[list[Json], int]:
        """Return one page of orders, newest first, and the total number."""
        where = "(:status IS NULL OR status = :status) AND (:user IS NULL OR user_id = :user)"
        asking = {
            "status": order_filter.status,
            "user": order_filter.user_id,
            "limit": order_filter.per_page,
            "offset": (order_filter.page - 1) * order_filter.per_page,
        }
        total = self._row(f"SELECT count(*) AS n FROM orders WHERE {where}", asking)
        rows = self._all(f"SELECT * FROM orders WHERE {where} ORDER BY id DESC LIMIT :limit OFFSET :offset", asking)
        return [self._order(row) for row in rows], total["n"] if total else 0

    def order(self, order_id: int) -> Json | None:
        row = self._row("SELECT * FROM orders WHERE id = ?", order_id)
        return self._order(row) if row else None

    def place_order(self, user_id: int, lines: Sequence[tuple[str, int]], gift_note: str | None) -> int:
        """Write an order of (sku, quantity) pairs and return its number. Raises UnknownSku."""
        prices = self._prices([sku for sku, _ in lines])
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        with self._writing():
            placed = self._database.execute(
                "INSERT INTO orders (user_id, status, placed_at, tags, gift_note) VALUES (?, 'placed', ?, ?, ?)",
                (user_id, now, json.dumps(["web", "new"]), gift_note),
            )
            order_id = placed.lastrowid or 0
            self._database.executemany(
                "INSERT INTO order_lines VALUES (?, ?, ?, ?)",
                [(order_id, sku, quantity, prices[sku]) for sku, quantity in lines],
            )
        return order_id

    def change_order(self, order_id: int, status: str, gift_note: str | None) -> bool:
        """Change an order; return False if there is no such order."""
        changed = self._database.execute(
            "UPDATE orders SET status = ?, gift_note = ? WHERE id = ?", (status, gift_note, order_id)
        )
        return changed.rowcount > 0

    def delete_order(self, order_id: int) -> bool:
        """Delete an order; return False if there is no such order."""
        with self._writing():
            self._database.execute("DELETE FROM order_lines WHERE order_id = ?", (order_id,))
            return self._database.execute("DELETE FROM orders WHERE id = ?", (order_id,)).rowcount > 0

    def _order(self, row: sqlite3.Row) -> Json:
        lines = self._all("SELECT sku, quantity, cents FROM order_lines WHERE order_id = ?", row["id"])
        return {
            "id": row["id"],
            "user_id": row["user_id"],
            "status": row["status"],
            "placed_at": row["placed_at"],
            "price": sum(line["quantity"] * line["cents"] for line in lines) / 100,
            "currency": "EUR",
            "lines": [
                {"sku": line["sku"], "quantity": line["quantity"], "unit_price": line["cents"] / 100} for line in lines
            ],
            "tags": json.loads(row["tags"]),
            "gift_note": row["gift_note"],
        }

    def _prices(self, skus: Sequence[str]) -> dict[str, int]:
        prices = {product["sku"]: product["cents"] for product in self.products()}
        for sku in skus:
            if sku not in prices:
                raise UnknownSku(sku)
        return prices

    # Sessions and carts

    def session(self, sid: str | None) -> Session | None:
        row = self._row("SELECT * FROM sessions WHERE sid = ?", sid) if sid else None
        return Session(**dict(row)) if row else None

    def count_visit(self, sid: str | None) -> Session | None:
        """Return the session with one more visit, or None if there is no such session."""
        row = self._row("UPDATE sessions SET visits = visits + 1 WHERE sid = ? RETURNING *", sid) if sid else None
        return Session(**dict(row)) if row else None

    def open_session(self, user_id: int | None = None, former: Session | None = None) -> Session:
        """Return a session under a new id. It takes over cart and visits of the `former` one, whose id is void then."""
        session = new_session(user_id, visits=former.visits if former else 1)
        with self._writing():
            self._database.execute(
                "INSERT INTO sessions VALUES (?, ?, ?, ?)",
                (session.sid, session.user_id, session.csrf, session.visits),
            )
            if former:
                self._database.execute("UPDATE cart_lines SET sid = ? WHERE sid = ?", (session.sid, former.sid))
                self._database.execute("DELETE FROM sessions WHERE sid = ?", (former.sid,))
        return session

    def cart(self, sid: str) -> list[Json]:
        return [
            {"sku": row["sku"], "quantity": row["quantity"], "price": row["cents"] * row["quantity"] / 100}
            for row in self._all(
                "SELECT sku, quantity, cents FROM cart_lines JOIN products USING (sku) WHERE sid = ? ORDER BY sku",
                sid,
            )
        ]

    def put_in_cart(self, sid: str, sku: str, quantity: int) -> None:
        """Put a product into a cart. Raises UnknownSku."""
        self._prices([sku])
        self._database.execute(
            "INSERT INTO cart_lines VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET quantity = quantity + excluded.quantity",
            (sid, sku, quantity),
        )

    def empty_cart(self, sid: str) -> None:
        self._database.execute("DELETE FROM cart_lines WHERE sid = ?", (sid,))

    # Files: only their names and types; the bytes are in a folder

    def add_file(self, file_id: str, name: str, content_type: str, size: int) -> None:
        self._database.execute("INSERT INTO files VALUES (?, ?, ?, ?)", (file_id, name, content_type, size))

    def file(self, file_id: str) -> Json | None:
        row = self._row("SELECT * FROM files WHERE id = ?", file_id)
        return dict(row) if row else None

    # SQLite

    @contextmanager
    def rehearsal(self) -> Iterator[None]:
        """Undo all writes of the block at its end. Nothing in it may wait, or others would write in it, too."""
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self._database.execute("ROLLBACK")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """Run one transaction, exclusive from its first statement, since another process may share the file."""
        if self._database.in_transaction:  # a rehearsal, which is undone as a whole
            yield
            return
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")

    def _row(self, query: str, *values: Any) -> sqlite3.Row | None:
        with closing(self._run(query, values)) as cursor:
            row: sqlite3.Row | None = cursor.fetchone()
            return row

    def _all(self, query: str, *values: Any) -> list[sqlite3.Row]:
        return self._run(query, values).fetchall()

    def _run(self, query: str, values: Sequence[Any]) -> sqlite3.Cursor:
        """Run a query with positional values, or with one mapping of named values."""
        named = len(values) == 1 and isinstance(values[0], Mapping)
        return self._database.execute(query, values[0] if named else values)
