"""A copy of the ledger that loads only what has changed equals the stored ledger, whatever was saved between."""

import random
from pathlib import Path

import pytest

from strangler.core.ledger.counts import Counts
from strangler.ledger.actions import fold, ignore, own
from strangler.ledger.ledger_state import LedgerState
from strangler.store import ledger_changes, stored_ledger
from strangler.store.connection import make_tables
from strangler.store.ledger_changes import (
    FORGET_EVERY,
    REMEMBERED,
    LedgerChanges,
    Saves,
    apply_changes,
    load_changes,
    note_save,
)
from strangler.store.sqlite import connect, transaction
from tests.ledger.ledgers import DAY, NOW, called

WORDS = ("orders", "carts", "users", "shops", "news", "prices", "towns", "pages")


class Leader:
    """A ledger that is saved as a leader does."""

    def __init__(self, path: Path) -> None:
        self.connection = connect(path, lambda made: make_tables(made, stored_ledger.SCHEMA + ledger_changes.SCHEMA))
        self.state = LedgerState()
        self.saves = Saves()

    def save(self, *, with_slow: bool = False) -> None:
        unsaved = stored_ledger.collect_unsaved(self.state, with_slow=with_slow)
        with transaction(self.connection):
            assert stored_ledger.save(self.connection, unsaved)
            self.saves = note_save(self.connection, unsaved, self.saves)
        stored_ledger.confirm(self.state, unsaved)


class Copy:
    """A copy of the stored ledger."""

    def __init__(self, leader: Leader) -> None:
        self.connection = leader.connection
        self.saves: Saves | None = None
        self.state = LedgerState()

    def load(self) -> LedgerState | LedgerChanges | None:
        self.saves, found = load_changes(self.connection, self.saves)
        if isinstance(found, LedgerState):
            self.state = found
        elif found is not None:
            apply_changes(self.state, found)
        return found

    def assert_equal(self) -> None:
        stored = stored_ledger.load(self.connection)
        assert self.state.rows.rows == stored.rows.rows
        assert _totals(self.state) == _totals(stored)
        for name in ("watch", "imports", "sampled", "hours", "left_out"):
            assert getattr(self.state, name) == getattr(stored, name), name
        assert (self.state.names.listed, self.state.names.folded) == (stored.names.listed, stored.names.folded)
        assert self.state.tree.revision == stored.tree.revision
        paths = [f"/{first}/{second}/x" for first in WORDS for second in WORDS]
        assert [self.state.tree.template_of_first(path) for path in paths] == [
            stored.tree.template_of_first(path) for path in paths
        ]


@pytest.fixture
def leader(tmp_path: Path) -> Leader:
    return Leader(tmp_path / "store.sqlite")


def _totals(state: LedgerState) -> dict[str, Counts]:
    """Return what is shown of each endpoint; looking at it must not keep it from changing."""
    return {name: row.history.total() for name, row in state.rows.rows.items()}


def do_something(state: LedgerState, chance: random.Random, day: int) -> None:
    """Change a ledger in one of the ways in which it changes."""
    match chance.randrange(8):
        case 0 if state.rows.rows:
            own(state, chance.choice(list(state.rows.rows)), f"team-{chance.randrange(3)}")
        case 1 if state.rows.rows:
            ignore(state, chance.choice(list(state.rows.rows)))
        case 2 if len(state.names.folded) < 3:
            template = f"/{WORDS[len(state.names.folded)]}/{{}}"
            fold(state, template)
        case 3 if state.rows.rows:
            stored_ledger.compact(state, list(state.rows.rows), NOW + day * DAY, 400 * DAY)
        case 4 if state.rows.rows:
            state.rows.drop(chance.choice(list(state.rows.rows)))
        case 5:
            state.watch.add(NOW + day * DAY, NOW + day * DAY + 100)
            state.sampled += 1
        case _:
            path = "/".join(chance.choices(WORDS, k=chance.randint(1, 3)))
            called(state, f"GET /{path}", NOW + day * DAY, calls=chance.randint(1, 9))


@pytest.mark.parametrize("seed", range(20))
def test_a_copy_equals_the_stored_ledger_after_any_changes(leader: Leader, seed: int) -> None:
    chance = random.Random(seed)
    copies = [Copy(leader), Copy(leader)]
    for day in range(60):
        for _ in range(chance.randint(1, 6)):
            do_something(leader.state, chance, day * 4)
        leader.save(with_slow=day % 3 == 0)
        for copy in copies[: 1 if day % 5 else 2]:
            copy.load()
            copy.assert_equal()


def test_only_what_has_changed_is_loaded(leader: Leader) -> None:
    for word in WORDS:
        called(leader.state, f"GET /{word}")
    leader.save()
    copy = Copy(leader)
    assert isinstance(copy.load(), LedgerState)
    assert copy.load() is None
    called(leader.state, "GET /carts", calls=4)
    leader.state.rows.drop("GET /news")
    leader.save()
    found = copy.load()
    assert isinstance(found, LedgerChanges)
    assert (list(found.rows), found.gone, found.tree) == (["GET /carts"], ("GET /news",), None)
    copy.assert_equal()


def test_the_tree_is_loaded_when_a_name_has_changed(leader: Leader) -> None:
    called(leader.state, "GET /shops/acme")
    leader.save(with_slow=True)
    copy = Copy(leader)
    copy.load()
    fold(leader.state, "/shops/{}")
    leader.save()
    found = copy.load()
    assert isinstance(found, LedgerChanges)
    assert found.tree is not None
    assert copy.state.tree.template_of_first("/shops/apex") == "/shops/{}"
    copy.assert_equal()


def test_a_copy_that_is_too_old_loads_all(leader: Leader) -> None:
    called(leader.state, "GET /carts")
    called(leader.state, "GET /news")
    leader.save()
    copy = Copy(leader)
    copy.load()
    leader.state.rows.drop("GET /news")
    leader.save()
    for _ in range(REMEMBERED + FORGET_EVERY):
        called(leader.state, "GET /carts")
        leader.save()
    (changes,) = leader.connection.execute("SELECT COUNT(*) FROM ledger_changes").fetchone()
    assert changes == 1
    assert isinstance(copy.load(), LedgerState)
    copy.assert_equal()


def test_a_store_that_an_earlier_state_has_replaced_is_loaded_whole(leader: Leader) -> None:
    called(leader.state, "GET /carts")
    leader.save()
    copy = Copy(leader)
    copy.load()
    copy.saves = Saves(number=100)
    assert isinstance(copy.load(), LedgerState)
