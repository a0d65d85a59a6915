"""A real proxy learns that names are values: the inbox and the ledger then have one endpoint, and nothing is lost."""

from pathlib import Path

from tests.e2e.commands import run
from tests.e2e.shadowing import kill_control, says, stage

NAMES = [f"{first}{second}" for first in "bcdfghklmn" for second in ("ana", "eva", "uli", "tom")]
ALL = "GET /api/orders/users/{}/cart"


async def test_what_the_ledger_folds_becomes_one_row_of_the_inbox(tmp_path: Path) -> None:
    async with stage(tmp_path, says({"price": 9}), says({"price": "9"})) as on:
        assert await on.proxy.get(f"/api/orders/users/{NAMES[0]}/cart") == 200
        ((former,),) = await on.proxy.until(lambda: on.rows("SELECT id FROM signatures"))
        code, text = await run(on.proxy.folder, "diffs", "known", former, "--owner", "ana", "--why", "rounding")
        assert code == 0, text
        for count, name in enumerate(NAMES[1:], 2):
            assert await on.proxy.get(f"/api/orders/users/{name}/cart") == 200
            await on.compared(count)
        pairs = "SELECT endpoint, sum(count) FROM pairs GROUP BY 1"
        await on.proxy.until(lambda: on.rows(pairs) == [(ALL, len(NAMES))])
        ((now, owner),) = on.rows("SELECT id, owner FROM signatures")
        assert now != former
        assert owner == "ana"
        assert now in (await run(on.proxy.folder, "diffs", "show", former))[1]
        assert ALL in (await run(on.proxy.folder, "ledger"))[1]
        await kill_control(on)
        assert await on.proxy.get("/api/orders/users/zoe/cart") == 200
        await on.proxy.until(lambda: on.rows(pairs) == [(ALL, len(NAMES) + 1)])
