"""GoReplay itself, built once by Go from its module."""

import os
import subprocess
from pathlib import Path
from shutil import which

from tests.needs import require

_MODULE = "github.com/buger/goreplay@v1.3.2"
_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "strangler-tests"


def goreplay() -> Path:
    """Return the program; end the test if it is not there and cannot be built."""
    program = _CACHE / "goreplay"
    if not program.exists():
        require("" if which("go") else "go")
        require("" if Path("/usr/include/pcap.h").exists() else "libpcap-dev")
        environment = os.environ | {"GOBIN": str(_CACHE), "GOFLAGS": "-mod=mod"}
        made = subprocess.run(["go", "install", _MODULE], env=environment, capture_output=True, text=True, check=False)
        require("" if made.returncode == 0 else f"{_MODULE}: {made.stderr}")
    return program
