"""GoReplay itself, where it was built by Go from its module. That takes minutes of two cores, so CI does without."""

import os
from pathlib import Path

import pytest

_CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "strangler-tests"
_BUILD = f"GOBIN={_CACHE} GOFLAGS=-mod=mod go install github.com/buger/goreplay@v1.3.2"


def goreplay() -> Path:
    """Return the program; skip the test if it was not built."""
    program = _CACHE / "goreplay"
    if not program.exists():
        pytest.skip(f"GoReplay is not built: {_BUILD} (needs libpcap-dev)")
    return program
