"""The nodes of a fleet: which there are, who leads, and whose name is whose."""

import asyncio
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from tests.e2e.fleet import Fleet, Node, fleet, led_by, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def on(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with fleet(tmp_path_factory.mktemp("nodes"), ("a", "b"), ()) as made:
        yield made


async def nodes_of(node: Node) -> dict[str, Any]:
    """Return the nodes that a node knows, by name; empty while it has no status."""
    status = await node.document("/api/status")
    return {found["node"]: found for found in (status or {}).get("nodes", [])}


async def test_each_node_names_all_and_the_leader(on: Fleet) -> None:
    leader = await on.leader()
    for node in on.nodes:
        await until(partial(_has_two_nodes, node), f"node {node.name} knows both")
        found = await nodes_of(node)
        assert list(found) == ["a", "b"]
        assert [name for name, status in found.items() if status["leader"]] == [leader.name]
        await until(partial(_is_same, node), "both have loaded the same file")
        assert await node.metric("strangler_leader") == (node is leader)
        assert await node.metric("strangler_store_up") == 1


async def _has_two_nodes(node: Node) -> bool:
    return await node.metric("strangler_nodes") == 2


async def test_an_edit_on_one_node_makes_its_file_the_odd_one(on: Fleet) -> None:
    a, b = on.nodes
    before = await until(lambda: _digest_of(a, "b"), "the other node knows its digest")
    assert await until(lambda: _digest_of(a, "a"), "this node knows its digest") == before
    b.edit(b.file.read_text() + "# a comment\n")
    await until(lambda: _is_odd(a, "b"), "the other node sees that the file differs")
    found = await nodes_of(a)
    assert found["b"]["digest"] != found["a"]["digest"] == before
    command = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "strangler", "status", "--admin", a.admin, stdout=asyncio.subprocess.PIPE, cwd=a.folder
    )
    output, _ = await command.communicate()
    assert "node 'b' has another routes.yaml than most" in " ".join(output.decode().split())
    b.edit(b.file.read_text().removesuffix("# a comment\n"))
    await until(lambda: _is_same(a), "the files are the same again")


async def _is_odd(node: Node, name: str) -> bool:
    return bool((await nodes_of(node)).get(name, {}).get("is_odd"))


async def _is_same(node: Node) -> bool:
    return len({status["digest"] for status in (await nodes_of(node)).values()}) == 1


async def test_a_second_node_of_a_name_does_not_start(on: Fleet) -> None:
    second = Node(on.folder / "second", "a", on.routes)
    await second.start(*second.command, ready=False)
    assert await second.ended() == 1
    text = (second.folder / "log").read_text()
    assert "another node is called 'a'; give this one a name of its own in `node`" in text
    assert "Traceback" not in text
    assert sorted(await nodes_of(on.nodes[0])) == ["a", "b"]
    assert "node" not in (await on.nodes[0].status())["problems"]


async def test_a_node_that_was_killed_starts_again_at_once(on: Fleet) -> None:
    b = on.nodes[1]
    await b.kill()
    await b.serve()
    assert "waits up to" not in (b.folder / "log").read_text()
    await until(lambda: _has_heard(on.nodes[0], "b"), "the other node hears it again")


async def test_a_node_with_a_new_folder_takes_the_name_of_a_dead_one(on: Fleet) -> None:
    b = on.nodes[1]
    await b.kill()
    shutil.rmtree(b.folder / "state")
    await b.serve()
    await until(lambda: _has_heard(on.nodes[0], "b"), "the other node hears it again")


async def test_a_restart_and_a_killed_control_keep_the_name(on: Fleet) -> None:
    b = on.nodes[1]
    (await b.control()).kill()
    await until(b.is_ready)
    before = (await b.status())["pid"]["supervisor"]
    b.signal(signal.SIGUSR2)
    await until(lambda: _has_another_supervisor(b, before), "the successor serves")
    await until(lambda: _has_heard(on.nodes[0], "b"), "the other node hears it")
    assert "node" not in (await b.status())["problems"]
    assert (await nodes_of(on.nodes[0]))["b"]["version"]


async def test_a_node_that_ends_in_order_is_no_more(on: Fleet) -> None:
    a, b = on.nodes
    b.signal(signal.SIGTERM)
    await b.ended()
    await until(lambda: _is_alone(a), "the other node is alone and leads")


async def _is_alone(node: Node) -> bool:
    return list(await nodes_of(node)) == [node.name] and await led_by(node) == [node.name]


async def _has_heard(node: Node, name: str) -> bool:
    found = (await nodes_of(node)).get(name)
    return found is not None and found["heard"] < 3


async def _has_another_supervisor(node: Node, before: int) -> bool:
    status = await node.document("/api/status")
    return status is not None and status["pid"].get("supervisor") not in (None, before)


async def _digest_of(node: Node, other: str) -> str:
    found: str = (await nodes_of(node))[other]["digest"]
    return found
