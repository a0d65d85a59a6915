"""Numbers over reloads: those of what is gone go, and none goes back."""

from pathlib import Path

from tests.e2e.serving import Proxy, legacy


async def test_the_numbers_of_an_upstream_that_was_taken_out_go_and_come_back_with_it(tmp_path: Path) -> None:
    async with legacy() as upstream:
        proxy = Proxy(tmp_path, upstream.port)
        await proxy.start()
        try:
            with_it = proxy.routes(percent=100)
            proxy.edit(with_it)
            await proxy.until(lambda: proxy.has_generation(2))
            assert await proxy.get("/api/orders/7") == 200

            async def counted() -> float:
                return await proxy.metric("strangler_requests_total", route="orders", upstream="orders")

            async def has_gauge() -> bool:
                _, text = await proxy.ask("/metrics")
                return 'strangler_in_flight{upstream="orders"}' in text

            await proxy.until(counted)
            await proxy.until(has_gauge)
            start = with_it.index("  orders:")
            proxy.edit(with_it[:start] + "routes: []\n")
            await proxy.until(lambda: proxy.has_generation(3))
            assert not await has_gauge()
            assert await counted() == 1  # is to be scraped once more
            proxy.edit(with_it)
            await proxy.until(lambda: proxy.has_generation(4))
            assert await proxy.get("/api/orders/7") == 200

            async def counted_both() -> bool:
                return await counted() == 2

            await proxy.until(counted_both)
            assert await has_gauge()
        finally:
            await proxy.stop()
