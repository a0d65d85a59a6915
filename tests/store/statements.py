"""All statements of the program, read from its source: what each call of `execute` and `executemany` is given."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any, Final

import strangler

ROOT: Final = Path(strangler.__file__).parent
OF_ONE_ENGINE: Final = frozenset(
    {
        "strangler.store.sqlite",  # the engine itself
        "strangler.store.connection",  # runs the tables' definitions
        "strangler.store.evidence.tables",  # upgrades files of earlier versions
        "strangler.store.postgres",
        "strangler.store.schema.server_tables",
        "strangler.store.schema.import_server",
        "strangler.store.server_locks",
        "strangler.store.schema.transfer",  # on both engines, for whatever tables there are
    }
)
"""Modules whose statements run on SQLite alone, or on PostgreSQL alone."""


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement, and the module and line that run it."""

    text: str
    place: str


@cache
def statements() -> list[Statement]:
    """Return the statements of all modules that any engine runs. Raises NameError where one cannot be read so."""
    return [
        statement
        for path in sorted(ROOT.rglob("*.py"))
        if (name := _name(path)) not in OF_ONE_ENGINE
        for statement in _of_module(name, ast.parse(path.read_text()))
    ]


def _name(path: Path) -> str:
    return ".".join(("strangler", *path.relative_to(ROOT).with_suffix("").parts))


def _of_module(name: str, tree: ast.Module) -> Iterator[Statement]:
    for scope in ast.walk(tree):
        if not isinstance(scope, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for node in ast.walk(scope):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if node.func.attr in {"execute", "executemany"}:
                for text in _texts(node.args[0], scope, vars(import_module(name))):
                    yield Statement(text, f"{name}:{node.lineno}")


def _texts(node: ast.expr, scope: ast.AST, names: Mapping[str, Any]) -> Iterator[str]:
    """Yield the values of an expression: one for each value of the loops around it."""
    used = {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    choices = {name: values for name, values in _locals(scope, names).items() if name in used}
    for chosen in product(*choices.values()):
        yield _value(node, {**names, **dict(zip(choices, chosen, strict=True))})


def _locals(scope: ast.AST, names: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return the values of the names that a function loops over or sets, as far as the source tells them."""
    found: dict[str, list[Any]] = {}
    for node in ast.walk(scope):
        try:
            if isinstance(node, ast.For) and isinstance(node.target, ast.Name):
                found[node.target.id] = list(_value(node.iter, names))
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                found[node.targets[0].id] = [_value(node.value, names)]
        except (NameError, AttributeError, TypeError):  # it is made of what is known at run time only
            continue
    return found


def _value(node: ast.expr, names: Mapping[str, Any]) -> Any:
    return eval(compile(ast.Expression(node), "<statement>", "eval"), dict(names))
