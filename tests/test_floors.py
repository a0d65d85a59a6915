"""The rooms of the package: who may import whom. Read from the source, lazy imports and type-only ones included."""

import ast
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

import strangler

ROOT = Path(strangler.__file__).parent
MAY_IMPORT: dict[str, set[str]] = {
    # pure: values and decisions
    "core": set(),
    "core.http": {"core"},
    "core.routing": {"core", "core.http"},
    "core.resilience": {"core", "core.http"},
    "core.privacy": {"core.http"},
    "core.ledger": {"core.privacy"},
    "core.rollout": {"core", "core.ledger"},
    "core.moves": {"core", "core.http", "core.ledger", "core.routing"},
    "core.compare.model": {"core", "core.http", "core.ledger"},
    "core.compare.accept_rules": {"core", "core.compare.model"},
    "core.compare.json": {"core.compare.accept_rules", "core.compare.model", "core.privacy"},
    "core.compare.markup": {"core.compare.accept_rules", "core.compare.model", "core.privacy"},
    "core.compare.redaction": {
        "core.compare.accept_rules",
        "core.compare.markup",
        "core.compare.model",
        "core.privacy",
    },
    "core.compare": {
        "core",
        "core.compare.accept_rules",
        "core.compare.json",
        "core.compare.markup",
        "core.compare.model",
        "core.compare.redaction",
        "core.http",
    },
    "core.shadowing": {"core", "core.compare.model"},
    "core.replaying": {
        "core",
        "core.compare",
        "core.compare.markup",
        "core.compare.model",
        "core.http",
        "core.ledger",
        "core.privacy",
    },
    # text to settings
    "config": {
        "core",
        "core.compare.accept_rules",
        "core.compare.model",
        "core.http",
        "core.ledger",
        "core.privacy",
        "core.routing",
        "envoy",
        "tls",
    },
    # settings to Envoy's configuration
    "envoy": {"core", "core.http", "core.routing"},
    # settings to Gateway API
    "gateway_api": {"core", "core.routing"},
    # what every process has
    "clock": set(),
    "logs": {"core", "times"},
    "times": set(),
    "unnamed_files": set(),
    # bytes, sockets, messages, files
    "ipc": {"core", "core.resilience"},
    "sockets": {"clock", "core", "ipc"},
    "http1": {"clock", "core", "core.http", "core.resilience", "tls"},
    "imports": {"core.compare.model", "core.privacy"},
    "ledger": {"core", "core.http", "core.ledger", "core.routing", "times"},
    "recordings": {
        "core.compare",
        "core.compare.accept_rules",
        "core.compare.markup",
        "core.compare.model",
        "core.compare.redaction",
        "core.http",
        "core.privacy",
        "imports",
        "state",
        "times",
    },
    "state": {"store", "times"},
    "tls": {"core", "unnamed_files"},
    # all that is in the database
    "store": {"core", "core.ledger", "ledger"},
    "store.schema": {"core", "store", "store.events", "store.evidence"},
    "store.events": {"core", "store", "store.evidence", "times"},
    "store.evidence": {
        "config",
        "core",
        "core.compare",
        "core.compare.accept_rules",
        "core.compare.model",
        "core.rollout",
        "core.routing",
        "state",
        "store",
        "times",
    },
    # asking an arm and comparing: what shadows and replays share
    "comparing": {
        "core",
        "core.compare",
        "core.compare.accept_rules",
        "core.compare.model",
        "core.compare.redaction",
        "core.http",
        "core.resilience",
        "core.routing",
        "core.shadowing",
        "http1",
        "ipc",
        "sockets",
        "store.evidence",
        "times",
        "tls",
    },
    # a recording that is sent again
    "replay": {
        "comparing",
        "config",
        "core",
        "core.compare",
        "core.compare.model",
        "core.http",
        "core.replaying",
        "core.routing",
        "core.shadowing",
        "http1",
        "ipc",
        "recordings",
        "store",
        "store.evidence",
        "tls",
    },
    # processes and commands
    "worker": {
        "clock",
        "core",
        "core.http",
        "core.ledger",
        "core.privacy",
        "core.resilience",
        "core.rollout",
        "core.routing",
        "http1",
        "ipc",
        "logs",
        "sockets",
        "tls",
    },
    "control": {
        "clock",
        "comparing",
        "config",
        "core",
        "core.compare",
        "core.compare.model",
        "core.http",
        "core.ledger",
        "core.privacy",
        "core.resilience",
        "core.rollout",
        "core.routing",
        "core.shadowing",
        "engine",
        "http1",
        "ipc",
        "ledger",
        "logs",
        "recordings",
        "sockets",
        "state",
        "store",
        "store.events",
        "store.evidence",
        "store.schema",
        "times",
        "tls",
        "unnamed_files",
    },
    "engine": {
        "clock",
        "core",
        "core.http",
        "core.routing",
        "envoy",
        "http1",
        "ipc",
        "logs",
        "sockets",
        "worker",
    },
    "supervisor": {"core", "engine", "ipc", "logs", "sockets", "state", "unnamed_files"},
    "demo": {"core"},
    "cli": {
        "config",
        "core",
        "core.compare",
        "core.ledger",
        "core.moves",
        "core.replaying",
        "core.rollout",
        "core.routing",
        "core.shadowing",
        "demo",
        "engine",
        "envoy",
        "gateway_api",
        "http1",
        "imports",
        "ipc",
        "ledger",
        "recordings",
        "replay",
        "state",
        "store",
        "store.evidence",
        "store.schema",
        "supervisor",
        "times",
        "tls",
        "unnamed_files",
    },
    "__main__": {"cli"},
}
"""The rooms, and what each may import beside itself and the version in `strangler`. A folder within `core` or
`store` is a room of its own, but for the documents, which values of `core` are made of. Elsewhere a folder is part of
the room around it."""
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
STATEMENT_CALLS = {"execute", "executemany", "executescript"}


def name_of(file: Path) -> str:
    parts = ("strangler", *file.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(file): file for file in sorted(ROOT.rglob("*.py"))}


def imports(name: str, tree: ast.AST) -> Iterator[str]:
    """Yield all modules that a module imports, wherever it does; for `from a import b`, `a.b` if that is a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports by a relative name; write it whole"
            base = node.module or ""
            for alias in node.names:
                yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base


def room(module: str) -> str:
    """Return the room of a module: a folder, and for `core` and `store` the folder within, but for `core.documents`."""
    parts = module.split(".")[1:]
    if parts[:2] == ["core", "documents"]:
        return "core"
    is_package = MODULES[module].name == "__init__.py"
    if parts[:1] in (["core"], ["store"]):
        return ".".join(parts if is_package else parts[:-1])
    return parts[0] if parts else "strangler"


IMPORTS = {name: set(imports(name, ast.parse(file.read_text()))) for name, file in MODULES.items()}
OWN = {
    name: {item for item in found if item in MODULES and item not in (name, "strangler")}
    for name, found in IMPORTS.items()
}
ROOMS = sorted({room(name) for name in MODULES} - {"strangler"})


def arrows() -> dict[str, set[str]]:
    """Return the rooms that each room imports."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, others in OWN.items():
        found[room(name)] |= {room(other) for other in others} - {room(name)}
    return found


def in_a_circle(graph: Mapping[str, set[str]]) -> set[str]:
    """Return the names that import themselves over others, and those between two such circles."""
    left = set(graph)
    while ends := {item for item in left if not graph[item] & left or not any(item in graph[other] for other in left)}:
        left -= ends
    return left


def test_every_room_is_in_the_table() -> None:
    assert set(ROOMS) == set(MAY_IMPORT)
    assert "strangler.core.routing.plan" in IMPORTS["strangler.core.routing.snapshot"]


@pytest.mark.parametrize("name", MODULES)
def test_a_module_imports_what_its_room_may(name: str) -> None:
    allowed = MAY_IMPORT.get(room(name), set()) | {room(name)}
    assert not {item for item in OWN[name] if room(item) not in allowed}


def test_the_store_alone_knows_its_engine() -> None:
    knowing = {name for name, found in IMPORTS.items() if "sqlite3" in found}
    assert knowing == {"strangler.store.sqlite"}


def runs_a_statement(tree: ast.AST) -> bool:
    """Return whether a module gives a statement to a connection."""
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(isinstance(called, ast.Attribute) and called.attr in STATEMENT_CALLS for called in calls)


def test_the_store_alone_has_statements() -> None:
    having = {name for name, file in MODULES.items() if runs_a_statement(ast.parse(file.read_text()))}
    assert "strangler.store.evidence.writing" in having
    assert {name for name in having if not name.startswith("strangler.store.")} == set()


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(connection):\n    return connection.execute('SELECT 1')", True),
        ("self._connection.executemany('DELETE FROM a WHERE b = ?', rows)", True),
        ("execute('SELECT 1')", False),
    ],
)
def test_statements_are_found_by_their_calls(source: str, expected: bool) -> None:
    assert runs_a_statement(ast.parse(source)) is expected


def test_nothing_is_allowed_that_no_module_needs() -> None:
    found = arrows()
    assert {name: allowed - found[name] for name, allowed in MAY_IMPORT.items() if allowed - found[name]} == {}


def test_no_room_imports_itself_in_a_circle() -> None:
    assert not in_a_circle(MAY_IMPORT)


def test_no_module_imports_itself_in_a_circle() -> None:
    assert not in_a_circle(OWN), "these import each other in a circle, for types or not"


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": {"b"}, "b": set()}, set()),
        ({"a": {"b"}, "b": {"a"}, "c": set()}, {"a", "b"}),
        ({"a": {"b"}, "b": {"c"}, "c": {"b"}}, {"b", "c"}),
    ],
    ids=["a line", "a circle of two", "a circle further on"],
)
def test_circles_are_found(graph: dict[str, set[str]], expected: set[str]) -> None:
    assert in_a_circle(graph) == expected


@pytest.mark.parametrize(("name", "other"), [("worker", "control"), ("control", "worker")])
def test_worker_and_control_never_import_each_other(name: str, other: str) -> None:
    assert other not in MAY_IMPORT[name]


@pytest.mark.parametrize("name", ["cli", "supervisor", "store", "store.evidence", "store.events", "state"])
def test_what_serves_commands_imports_no_control(name: str) -> None:
    assert "control" not in MAY_IMPORT[name]


@pytest.mark.parametrize("name", [name for name in MODULES if room(name).startswith("core")])
def test_core_is_pure(name: str) -> None:
    assert not {item for item in IMPORTS[name] if item.split(".")[0] in IMPURE}


def test_sibling_packages_use_no_module_name_twice() -> None:
    """The modules of commands are named after the commands, whatever the rest is called."""
    places: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name, file in MODULES.items():
        parent, _, own = name.rpartition(".")
        if file.stem not in ("__init__", "__main__") and parent != "strangler.cli":
            places[parent.rpartition(".")[0], own].append(name)
    assert [names for names in places.values() if len(names) > 1] == []


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import asyncio.events", {"asyncio.events"}),
        ("from strangler.core import settings", {"strangler.core.settings"}),
        ("from strangler.core.settings import Settings", {"strangler.core.settings"}),
        ("def f():\n    import socket", {"socket"}),
        ("if TYPE_CHECKING:\n    from strangler.core.fault import Fault", {"strangler.core.fault"}),
    ],
)
def test_imports_are_found_wherever_they_are(source: str, expected: set[str]) -> None:
    assert set(imports("x", ast.parse(source))) == expected
