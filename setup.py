"""mypyc compiles the hot path where there is a C compiler: a request costs 15 µs less CPU time.

All else about the package is in pyproject.toml. The source is the same either way, and so is the behaviour: .ci/run
tests both. STRANGLER_COMPILE=1 makes it an error if it cannot be compiled, STRANGLER_COMPILE=0 leaves it as it is.
"""

import os
import shlex
import shutil
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

HOT_PATH = {
    "core": (
        "admission", "breaker", "bulkhead", "decide", "endpoints", "framing", "head", "headers", "match", "path",
        "plan", "result", "retry", "routes", "snapshot", "split", "upstream_edits", "window",
    ),
    "wire": (
        "asker", "body", "body_readers", "chunked", "client_connection", "client_lifecycle", "client_states",
        "closing", "exchange", "memo", "numbers", "outbox", "parse", "pool", "port", "request", "request_heads",
        "response", "story", "transitions", "upstream_connection", "upstream_states",
    ),
    "worker": (
        "access_log", "aggregate", "arms", "attempt", "call", "caller_fences", "capture", "captured", "context",
        "deliver", "handler", "heads", "outcome", "policies", "request_head", "request_metrics", "retries",
        "telemetry", "trace", "upstreams",
    ),
}  # fmt: skip

ASKED = os.environ.get("STRANGLER_COMPILE", "")


def has_compiler() -> bool:
    """A C compiler for this Python, and the headers of it."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return shutil.which(command) is not None and headers.exists()


def is_wanted() -> bool:
    if ASKED in ("0", "1"):
        return ASKED == "1"
    return sys.implementation.name == "cpython" and has_compiler()


def extensions() -> list[Extension]:
    """The hot path as C extensions, made only when a wheel is built: an editable install runs the source."""
    if not is_wanted() or "bdist_wheel" not in sys.argv:
        return []
    files = [f"strangler/{package}/{name}.py" for package, names in HOT_PATH.items() for name in names]
    flags = ["--ignore-missing-imports", "--follow-imports=silent", "--config-file="]
    try:
        from mypyc.build import mypycify

        return list(mypycify([*flags, *files], group_name="strangler", debug_level="0"))
    except (ImportError, SystemExit) as error:  # the second is how mypyc says no
        if ASKED == "1":
            raise
        print(f"The hot path is left in Python: mypyc cannot translate it ({error})", file=sys.stderr)
        return []


class BuildHotPath(build_ext):
    """All of it or none of it: half of the modules compiled would not import."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:  # compilers fail in many ways
            if ASKED == "1":
                raise
            print(f"The hot path is left in Python: {error}", file=sys.stderr)
            for output in self.get_outputs():
                Path(output).unlink(missing_ok=True)
            self.extensions = []


setup(
    ext_modules=extensions(),
    cmdclass={"build_ext": BuildHotPath},
    setup_requires=["mypy>=2.4,<3"] if is_wanted() else [],
)
