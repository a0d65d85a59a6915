import os
import subprocess
import sys

import pytest

from strangler.cli._acting_user import MAX_CHARACTERS, acting_user

_PRINTS = """
import getpass, os, sys
from strangler.cli._acting_user import acting_user
os.setuid(54321) if os.getuid() == 0 else sys.exit(77)
print(acting_user({}))
"""


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        pytest.param({"STRANGLER_USER": "ana"}, "ana", id="named"),
        pytest.param({"STRANGLER_USER": "  deploy \n bot "}, "deploy bot", id="space-folds"),
        pytest.param({"STRANGLER_USER": "x" * 1000}, "x" * MAX_CHARACTERS, id="bounded"),
    ],
)
def test_strangler_user_names_who_acts(environ: dict[str, str], expected: str) -> None:
    assert acting_user(environ) == expected


@pytest.mark.parametrize("environ", [{}, {"STRANGLER_USER": "  "}], ids=["unset", "blank"])
def test_without_it_the_systems_user_acts(environ: dict[str, str]) -> None:
    assert acting_user(environ) == acting_user({"STRANGLER_USER": ""}) != ""


def test_a_uid_without_a_name_is_told_as_a_number() -> None:
    """As in a container that runs as any uid: there is no entry for it, and no variable either."""
    environ = {key: value for key, value in os.environ.items() if key not in {"LOGNAME", "USER", "LNAME", "USERNAME"}}
    done = subprocess.run([sys.executable, "-c", _PRINTS], env=environ, capture_output=True, text=True, timeout=30)
    if done.returncode == 77:
        pytest.skip("needs root, to become a user without a name")
    assert done.stdout == "uid 54321\n", done.stderr
