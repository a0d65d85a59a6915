"""A replay beside a running proxy: its findings in the inbox of the proxy, its requests through the proxy."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from strangler.core.documents import InboxDocument, ReplayDocument
from tests.e2e.commands import run
from tests.e2e.serving import Proxy, legacy
from tests.recordings.made import written
from tests.replay.rig import pair


@pytest.fixture
async def proxy(tmp_path: Path) -> AsyncIterator[Proxy]:
    """A proxy with a recording in its folder: of ten pairs, five are what legacy responds."""
    async with legacy() as state:
        made = Proxy(tmp_path, state.port)
        made.file.write_text(made.routes().replace("listen: 127.0.0.1:0\n", f"listen: 127.0.0.1:{_free_port()}\n", 1))
        text = (b"Content-Type", b"text/plain; charset=utf-8")
        pairs = [
            pair(b"/api/orders/7", response=b"legacy" if at % 2 else b"another", fields=(text,)) for at in range(10)
        ]
        written(tmp_path / "a.rec", pairs)
        await made.start()
        try:
            yield made
        finally:
            await made.stop()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


async def test_findings_reach_the_inbox_of_the_running_proxy(proxy: Proxy) -> None:
    code, text = await run(proxy.folder, "replay", "a.rec", "--speed", "max", STRANGLER_USER="ana")
    assert code == 1
    assert "10 findings put into the inbox" in text
    _, content = await proxy.ask("/api/diffs?source=replay")
    (row,) = msgspec.convert(content, type=InboxDocument).signatures
    assert row.count == 5
    assert row.id[:8] in text
    _, text = await run(proxy.folder, "diffs", "show", row.id)
    assert "GET /api/orders/7" in text
    _, audit = await proxy.ask("/api/audit")
    assert [(entry["what"], entry["who"]) for entry in audit["entries"]] == [("replay.added", "ana")]
    _, verdict = await proxy.ask("/api/routes/orders/readiness")
    assert verdict["pairs"] == 0, "no gate counts replays unless it says so"


async def test_requests_go_through_the_proxy_as_those_of_clients(proxy: Proxy) -> None:
    code, text = await run(
        proxy.folder, "replay", "a.rec", "--to", "proxy", "--speed", "max", "--no-inbox", "--fail-on", "difference"
    )
    assert code == 1
    assert f"to the proxy at 127.0.0.1:{proxy.port}, as requests of clients, without a mark" in text

    async def has_counted_all() -> bool:  # workers report once a second
        return await proxy.metric("strangler_requests_total", route="orders") == 10

    await proxy.until(has_counted_all)


async def test_without_the_proxy_the_state_folder_takes_the_findings(proxy: Proxy) -> None:
    admin = proxy.admin
    await proxy.stop()
    code, text = await run(proxy.folder, "replay", "a.rec", "--speed", "max", "--admin", admin)
    assert code == 2
    assert "nothing was sent: the findings could not be put into the inbox; --no-inbox replays without it" in text
    code, text = await run(proxy.folder, "replay", "a.rec", "--speed", "max", "--json")
    assert code == 1, "the state folder has no proxy any more, and takes them"
    document = msgspec.json.decode(text.splitlines()[-1], type=ReplayDocument)
    assert document.inbox is not None
    assert (document.inbox.stored, document.inbox.not_stored) == (10, 0)
