"""`docker run --read-only --cap-drop ALL` without a container engine: a mount namespace where only the state folder can
be written, and no capability for anybody in it."""

import os
import signal
import sys
from pathlib import Path
from shutil import which

import psutil

from tests.e2e.serving import Proxy, legacy
from tests.needs import require

_CONFINE = """
mount --bind "$1/state" "$1/state"
mount -o remount,bind,ro /
if touch "$1/written" 2>/dev/null; then echo "not read-only" >&2; exit 1; fi
exec setpriv --no-new-privs --clear-groups --inh-caps=-all --bounding-set=-all "$2" -m strangler serve
"""
_NEEDED = ("unshare", "setpriv", "mount")


async def test_it_serves_with_nothing_to_write_to_and_no_capability(tmp_path: Path) -> None:
    can = os.geteuid() == 0 and all(which(program) for program in _NEEDED)
    require("" if can else f"root, who may make a mount namespace, and {', '.join(_NEEDED)}")
    (tmp_path / "state").mkdir()
    async with legacy() as upstream:
        proxy = Proxy(tmp_path, upstream.port)
        proxy.file.write_text(proxy.routes())
        script = ("sh", "-ec", _CONFINE, "sh", str(tmp_path), sys.executable)
        await proxy.start("unshare", "--mount", "--propagation", "private", *script)
        try:
            assert await proxy.get("/api/orders/7") == 200
            assert (await proxy.ask("/api/kill-switch", "POST", {"on": True, "reason": "a test"}))[0] == 200
            for process in (psutil.Process(proxy.pid), *proxy.children()):
                status = Path(f"/proc/{process.pid}/status").read_text()
                assert "CapEff:\t0000000000000000\n" in status
                assert "NoNewPrivs:\t1\n" in status
            assert [line for line in proxy.log if line["level"] in ("error", "critical")] == []
            proxy.signal(signal.SIGTERM)
            assert await proxy.ended() == 0
        finally:
            await proxy.stop()
    assert sorted(file.name for file in tmp_path.iterdir()) == ["log", "routes.yaml", "state"]
