"""Findings of a replay posted to a real proxy: in the inbox at once, and counted when `gate.from` says so."""

import asyncio
import time
from pathlib import Path

from strangler.cli._admin import NamedAdmin
from strangler.cli._evidence import find_evidence
from strangler.cli._trust import Authorities
from strangler.store.evidence.findings import Finding
from tests.e2e.shadowing import says, stage
from tests.e2e.test_evidence import GATE, LEGACY, ROOMY, ask, inbox, ready, run
from tests.store.evidence.pairs import captured, finding_of, json_response


def replayed(candidate: object) -> Finding:
    return finding_of(json_response(LEGACY), json_response(candidate), captured(at=time.time()))


async def test_they_count_only_if_the_gate_says_so(tmp_path: Path) -> None:
    async with stage(tmp_path, says(LEGACY), says(LEGACY), shadow=ROOMY, route=GATE) as on:
        await ask(on, "/api/orders/lines", 2)
        routes = on.proxy.folder / "routes.yaml"
        findings = [*[replayed(LEGACY)] * 3, replayed(LEGACY | {"price": "19.99"})]
        evidence = find_evidence(routes, NamedAdmin(on.proxy.admin, Authorities(None)))
        assert await asyncio.to_thread(evidence.add_replayed, findings, "r1", "ana") == 4
        (row,) = await inbox(on)
        assert row["sources"] == {"replay": 1}
        assert await inbox(on, "--source", "live") == []
        found = await ready(on)
        assert (found["pairs"], found["matches"], found["sources"]) == (2, 2, ["live"])
        assert "4 pairs of replays are not counted: gate.from is [live]" in found["notes"]
        assert [line["source"] for line in on.lines] == ["replay"]
        assert "replay.added" in (await run(on, "audit"))[1]

        routes.write_text(routes.read_text().replace("min_age: 0s", "min_age: 0s, from: [live, replay]"))

        async def counts() -> bool:
            return bool((await ready(on))["sources"] == ["live", "replay"])

        await on.proxy.until(counts)
        found = await ready(on)
        assert (found["pairs"], found["matches"], found["breaking_open"]) == (6, 5, 1)
