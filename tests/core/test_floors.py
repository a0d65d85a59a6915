"""The floors of the package: who may import whom. Read from the source, so that no import is missed for being lazy."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import strangler

ROOT = Path(strangler.__file__).parent
FLOORS = {
    "core": 0,
    "config": 1,
    "state": 1,
    "wire": 2,
    "worker": 3,
    "control": 3,
    "supervisor": 4,
    "demo": 4,
    "cli": 5,
}
"""Of the parts of `strangler`; what is not named stands on the top floor."""
TOP = 5
IMPURE = {
    "asyncio",
    "time",
    "random",
    "socket",
    "logging",
    "os",
    "threading",
    "subprocess",
    "secrets",
    "uuid",
    "sqlite3",
}


def name_of(file: Path) -> str:
    parts = ("strangler", *file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in sorted(ROOT.rglob("*.py"))}


def imports(name: str, tree: ast.AST) -> Iterator[str]:
    """All modules that a module imports, wherever it does so; for `from a import b`, `a.b` if that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports by a relative name; write it whole"
            base = node.module or ""
            for alias in node.names:
                yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base


def without_type_checking(tree: ast.Module) -> ast.Module:
    """The tree as it runs: a block under `if TYPE_CHECKING` imports nothing."""
    tree.body = [node for node in tree.body if not _is_type_checking(node)]
    return tree


def _is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}


IMPORTS = {name: set(imports(name, ast.parse(file.read_text()))) for name, file in MODULES.items()}
AT_RUN_TIME = {
    name: set(imports(name, without_type_checking(ast.parse(file.read_text())))) for name, file in MODULES.items()
}


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def floor(module: str) -> int:
    return FLOORS.get(part(module), TOP)


def test_every_part_is_seen() -> None:
    assert {"core", "config", "wire", "worker", "control", "cli"} <= {part(name) for name in MODULES}
    assert "strangler.core.plan" in IMPORTS["strangler.core.snapshot"]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_from_its_own_floor_or_below(name: str) -> None:
    # The package's own __init__ holds the version only, and everyone may ask for it.
    above = [one for one in IMPORTS[name] if one in MODULES and one != "strangler" and floor(one) > floor(name)]
    assert not above


@pytest.mark.parametrize(
    ("part_name", "other"),
    [("worker", "control"), ("control", "worker"), ("supervisor", "control"), ("state", "config")],
)
def test_parts_that_do_not_know_each_other_never_import_each_other(part_name: str, other: str) -> None:
    of_part = {name: found for name, found in IMPORTS.items() if part(name) == part_name}
    assert not {name: one for name, found in of_part.items() for one in found if part(one) == other}


@pytest.mark.parametrize("name", [name for name in MODULES if part(name) == "core"])
def test_core_is_pure(name: str) -> None:
    assert not {one for one in IMPORTS[name] if one.split(".")[0] in IMPURE}


def test_no_module_imports_itself_in_a_circle() -> None:
    graph = {name: {one for one in found if one in MODULES and one != name} for name, found in AT_RUN_TIME.items()}
    while leaves := [name for name, found in graph.items() if not found]:
        for leaf in leaves:
            del graph[leaf]
        for found in graph.values():
            found.difference_update(leaves)
    assert not graph, "these import each other in a circle, or one that does"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import asyncio.events", {"asyncio.events"}),
        ("from strangler.core import plan", {"strangler.core.plan"}),
        ("from strangler.core.plan import Plan", {"strangler.core.plan"}),
        ("def f():\n    import socket", {"socket"}),
    ],
)
def test_imports_are_found_wherever_they_are(source: str, expected: set[str]) -> None:
    assert set(imports("x", ast.parse(source))) == expected
