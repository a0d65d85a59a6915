"""The compiled modules carry a mark in their first line, and keep to what can be compiled (docs/hot-path.md)."""

import inspect
from enum import Enum
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

import strangler

ROOT = Path(strangler.__file__).parent
MARK = "# Compiled with mypyc"
HOT = sorted(
    ".".join(("strangler", *file.relative_to(ROOT).with_suffix("").parts))
    for file in ROOT.rglob("*.py")
    if file.read_text().startswith(MARK)
)


def test_both_connections_and_the_plan_are_marked() -> None:
    assert {"strangler.core.routing.plan", "strangler.worker.handler"} <= set(HOT)
    assert any(name.startswith("strangler.http1.upstream") for name in HOT)


@pytest.mark.parametrize("name", HOT)
def test_all_marked_modules_are_compiled_or_none(name: str) -> None:
    spec = find_spec(name)
    assert spec is not None
    assert str(spec.origin).endswith(".py") is not strangler.is_compiled()


@pytest.mark.parametrize("name", HOT)
def test_a_compiled_class_has_no_interpreted_base(name: str) -> None:
    module = import_module(name)
    classes = [item for _, item in inspect.getmembers(module, inspect.isclass) if item.__module__ == name]
    for each_class in classes:
        if issubclass(each_class, Enum | tuple | BaseException | dict):  # these stay interpreted as they are
            continue
        bases = [
            base
            for base in each_class.__mro__[1:]
            if base.__module__.split(".")[0] not in ("builtins", "typing", "abc")
        ]
        assert {base.__module__ for base in bases} <= set(HOT), (
            f"{each_class.__qualname__} has a base that is not compiled"
        )
