"""docs/security.md names a test for each threat. They exist."""

import ast
import re
from pathlib import Path

import pytest

import strangler

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "security.md").read_text()
_NAMED = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
_THREATS = [
    line
    for part in re.split(r"^## ", TEXT, flags=re.MULTILINE)
    if "| attack |" in part
    for line in part.splitlines()
    if line.startswith("| ") and not line.startswith("| attack")
]
_RUNS_TEXT = {"pickle", "marshal", "shelve", "dill", "cloudpickle"}
_MAKES_CODE = {"eval", "exec", "compile", "__import__"}


def test_there_are_threats() -> None:
    assert len(_THREATS) > 40


@pytest.mark.parametrize("line", _THREATS, ids=lambda line: line.split("|")[1].strip())
def test_each_threat_is_held_by_tests_that_exist(line: str) -> None:
    named = _NAMED.findall(line)
    assert named
    for path, name in named:
        assert re.search(rf"^\s*(async )?def {name}\(", (ROOT / path).read_text(), re.MULTILINE), (
            f"{path} has no {name}"
        )


@pytest.mark.parametrize("file", sorted(Path(strangler.__file__).parent.rglob("*.py")), ids=lambda file: file.stem)
def test_nothing_that_is_read_can_become_code(file: Path) -> None:
    tree = ast.parse(file.read_text())
    imported = {
        name.name.partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names
    }
    imported |= {(node.module or "").partition(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    assert not imported & _RUNS_TEXT
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    assert not called & _MAKES_CODE
    shelled = [k for node in ast.walk(tree) if isinstance(node, ast.Call) for k in node.keywords if k.arg == "shell"]
    assert shelled == []
