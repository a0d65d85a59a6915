"""The names of endpoints while control runs: what the ledger learns, and what a reload folds, goes into the inbox."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.settings import RouteSettings
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.former_ids import present_id
from strangler.store.evidence.index import IndexState
from strangler.store.evidence.writing import set_state, store_findings
from strangler.store.file_store import FileStore
from strangler.store.schema import SCHEMA, prepare_file
from strangler.store.store import Store
from tests.control.control import control_of, in_force
from tests.control.shadow.rig import begun, rig_of
from tests.factories import route, settings, shadow
from tests.store.evidence.pairs import captured, finding_of, json_response, match

ORDERS: RouteSettings = replace(route("orders", prefix="/"), shadow=shadow())
IN_FORCE = settings(routes=[ORDERS])
NAMES = [f"/users/{first}{second}/cart" for first in "bcdfghklmn" for second in ("ana", "eva", "uli", "tom")]
"""More than any application has words at one place."""
ONE, ALL = "GET /users/beva/cart", "GET /users/{}/cart"


def learn(tree: TemplateTreeState) -> None:
    for path in NAMES:
        tree.learn(path.encode())


def differing(target: bytes = b"/users/beva/cart") -> Finding:
    """A finding as it is made before the tree has learned."""
    return finding_of(json_response({"price": 1}), json_response({"price": "1"}), captured(target))


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = FileStore(tmp_path / "strangler.db", prepare_file)
    yield store
    await store.close()


async def endpoints(store: Store) -> list[tuple[str, int]]:
    return await store.call(
        lambda connection: connection.execute("SELECT endpoint, sum(count) FROM pairs GROUP BY 1").fetchall()
    )


async def test_what_the_tree_folds_is_carried_over_once(store: Store) -> None:
    tree = TemplateTreeState()
    rig = await begun(store, IN_FORCE, tree=lambda: tree)
    rig.parts.writer.add(differing())
    await rig.parts.runner.store()
    (name,) = (difference.id for difference in differing().differences)
    await store.call(lambda connection: set_state(connection, name, "known", 1.0, owner="ana"))
    learn(tree)
    await rig.parts.carrier.look()
    assert await endpoints(store) == [(ALL, 1)]
    row = "SELECT id, endpoint, state, owner FROM signatures"
    now = await store.call(lambda connection: present_id(connection, name))
    assert await store.call(lambda connection: connection.execute(row).fetchall()) == [(now, ALL, "known", "ana")]
    await store.call(lambda connection: connection.execute("UPDATE pairs SET endpoint = ?", (ONE,)))
    await rig.parts.carrier.look()
    assert await endpoints(store) == [(ONE, 1)], "nothing is looked at again while the tree stays as it is"
    await rig.parts.runner.close()


async def test_a_finding_that_waits_meanwhile_has_the_new_name_too(store: Store) -> None:
    tree = TemplateTreeState()
    rig = await begun(store, IN_FORCE, tree=lambda: tree)
    rig.parts.writer.add(differing())
    learn(tree)
    await rig.parts.runner.store()
    assert await endpoints(store) == [(ALL, 1)]
    journal = (store.folder / "shadow-diffs.jsonl").read_text()
    (name,) = await store.call(lambda connection: connection.execute("SELECT id FROM signatures").fetchone())
    assert f'"signature":"{name}"' in journal
    await rig.parts.runner.close()


async def test_what_is_stored_meanwhile_counts_as_well(store: Store) -> None:
    tree = TemplateTreeState()
    rig = await begun(store, IN_FORCE, tree=lambda: tree)
    for _ in range(3):
        rig.parts.writer.add(differing())
        await rig.parts.runner.store()
    learn(tree)
    rig.parts.writer.add(differing())
    await asyncio.gather(rig.parts.carrier.look(), rig.parts.runner.store(), rig.parts.carrier.look())
    rig.parts.writer.add(match(endpoint=ONE))
    await rig.parts.runner.store()
    assert await endpoints(store) == [(ALL, 5)]
    await rig.parts.runner.close()


async def test_a_fold_of_the_route_is_carried_over_at_a_reload(store: Store) -> None:
    rig = await begun(store, IN_FORCE)
    rig.parts.writer.add(differing())
    await rig.parts.runner.store()
    folding = replace(ORDERS, fold=("/users/{}",))
    rig.parts.runner.adopt(in_force(settings(routes=[folding])))
    await rig.parts.carrier.look()
    assert await endpoints(store) == [(ALL, 1)]
    rig.parts.runner.adopt(in_force(IN_FORCE))
    await rig.parts.carrier.look()
    assert await endpoints(store) == [(ALL, 1)], "what was counted together cannot be told apart again"
    await rig.parts.runner.close()


async def test_a_ledger_that_is_read_later_or_switched_on_counts_from_then_on(store: Store) -> None:
    tree = TemplateTreeState()
    learn(tree)
    trees: list[TemplateTreeState | None] = [None]
    rig = await begun(store, IN_FORCE, tree=lambda: trees[-1])
    rig.parts.writer.add(differing())
    await rig.parts.runner.store()
    assert await endpoints(store) == [(ONE, 1)]
    trees.append(tree)
    await rig.parts.carrier.look()
    assert await endpoints(store) == [(ALL, 1)]
    await rig.parts.runner.close()


async def test_a_store_that_cannot_be_written_is_tried_again(store: Store) -> None:
    tree = TemplateTreeState()
    rig = await begun(store, IN_FORCE, tree=lambda: tree)
    rig.parts.writer.add(differing())
    await rig.parts.runner.store()
    broken = "CREATE TRIGGER broken BEFORE INSERT ON former_ids BEGIN SELECT RAISE(ABORT, 'the disk is bad'); END"
    await store.call(lambda connection: connection.execute(broken))
    learn(tree)
    await rig.parts.carrier.look()
    with closing(sqlite3.connect(store.folder / "strangler.db")) as other, other:
        assert other.execute("SELECT endpoint FROM pairs").fetchall() == [(ONE,)], "all of it or nothing"
        assert other.execute("SELECT endpoint FROM signatures").fetchall() == [(ONE,)]
        other.execute("DROP TRIGGER broken")
    await rig.parts.carrier.look()
    assert await endpoints(store) == [(ALL, 1)]
    await rig.parts.runner.close()


async def test_a_store_of_the_version_before_is_carried_over_before_anything_is_stored(tmp_path: Path) -> None:
    """That version wrote words decoded, folded fewer forms, and kept no former ids."""
    path = tmp_path / "strangler.db"
    earlier = [
        f"GET /{words}" for words in ("my file", "commits/9f2c1ab", "a/{}.json", "users/{}/…", "list/{}", "100%")
    ]
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(SCHEMA)
        findings = [match(endpoint=name) for name in earlier]
        store_findings(connection, IndexState(), [*findings, replace(match(endpoint=earlier[0]), route="gone")], 1.0)
        connection.executescript("DROP TABLE former_ids; DROP TABLE earlier_names")
    store = FileStore(path, prepare_file)
    rig = await begun(store, IN_FORCE)
    names = [
        "GET /100%25",
        "GET /a/{}.json",
        "GET /commits/{}",
        "GET /list/{}",
        "GET /my%20file",
        "GET /users/{}/{...}",
    ]
    of_route = "SELECT endpoint FROM pairs WHERE route = ? ORDER BY 1"
    found = await store.call(lambda connection: connection.execute(of_route, ("orders",)).fetchall())
    assert [row[0] for row in found] == names
    found = await store.call(lambda connection: connection.execute(of_route, ("gone",)).fetchall())
    assert [row[0] for row in found] == ["GET /my file"], "how a route names its endpoints is known while it is there"
    again = rig_of(store, settings(routes=[ORDERS, replace(route("gone"), shadow=shadow())]))
    await again.parts.runner.restore()
    found = await store.call(lambda connection: connection.execute(of_route, ("gone",)).fetchall())
    assert [row[0] for row in found] == ["GET /my%20file"]
    found = await store.call(lambda connection: connection.execute(of_route, ("orders",)).fetchall())
    assert [row[0] for row in found] == names
    for each in (rig, again):
        await each.parts.runner.close()
    await store.close()


ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0}
state: state
ledger: LEDGER
upstreams: {legacy: {url: "http://127.0.0.1:8000"}, orders: {url: "http://127.0.0.1:8001"}}
routes:
  - {name: orders, match: {prefix: /}, candidate: orders, split: {percent: 25}, shadow: {percent: 100}}
"""


@pytest.mark.parametrize(("ledger", "name"), [("{}", ALL), ("false", ONE)])
async def test_the_names_are_those_of_the_ledger_if_there_is_one(tmp_path: Path, ledger: str, name: str) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES.replace("LEDGER", ledger))
    async with control_of(tmp_path, {}) as state:
        await state.ledger.restore()
        learn(state.ledger.state.tree)
        await state.shadow.runner.restore()
        state.shadow.writer.add(differing())
        await state.shadow.runner.store()
        assert await endpoints(state.store) == [(name, 1)]
