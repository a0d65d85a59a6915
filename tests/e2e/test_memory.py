"""The memory of the processes: what they hold, and what they do not."""

import sys
from pathlib import Path

import psutil
import pytest

from tests.e2e.serving import Proxy, legacy

MB = 1 << 20


@pytest.mark.skipif(sys.platform != "linux", reason="/proc/PID/maps")
async def test_what_it_takes_to_load_routes_does_not_stay_with_the_supervisor(tmp_path: Path) -> None:
    async with legacy() as upstream:
        proxy = Proxy(tmp_path, upstream.port)
        many = [f"  - {{name: r{n}, match: {{prefix: /r{n}}}, candidate: orders}}\n" for n in range(3000)]
        proxy.file.write_text(proxy.routes() + "".join(many))
        await proxy.start()
        try:
            mapped = Path(f"/proc/{proxy.pid}/maps").read_text()
            assert "msgspec" in mapped
            assert [library for library in ("pydantic", "_yaml", "uvloop") if library in mapped] == []
            assert psutil.Process(proxy.pid).memory_full_info().uss < 24 * MB
        finally:
            await proxy.stop()
