"""Shadows from end to end: real processes, real sockets."""

from pathlib import Path

from tests.e2e.shadowing import says, stage


async def test_answers_that_agree_are_a_match(tmp_path: Path) -> None:
    async with stage(tmp_path, says({"id": 7}), says({"id": 7})) as on:
        assert await on.proxy.get("/api/orders/7") == 200
        await on.compared(1, "match")
        assert on.lines == []


async def test_answers_that_differ_are_told_in_the_journal(tmp_path: Path) -> None:
    async with stage(tmp_path, says({"id": 7, "price": "19.99"}), says({"id": 7, "price": 19.99})) as on:
        assert await on.proxy.get("/api/orders/7?x=1") == 200
        await on.compared(1, "mismatch")
        line = await on.line()
        print(line)
        assert line["outcome"] == "mismatch"
        assert line["differences"] == [
            {
                "in": "body",
                "path": "$.price",
                "kind": "type",
                "severity": "breaking",
                "legacy": "19.99",
                "candidate": 19.99,
            }
        ]
        assert (line["path"], line["served_by"], line["severity"]) == ("/api/orders/7", "legacy", "breaking")
