"""CONTRIBUTING.md names the files that a change goes through. They exist."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text()
NAMED = sorted(set(re.findall(r"`((?:strangler|tests|docs|benchmarks|\.ci)/[\w./*-]*|setup\.py)`", TEXT)))
MODULES = sorted(set(re.findall(r"(?:python -m |`)((?:strangler|benchmarks|tests)\.[\w.]+)", TEXT)))
LINKED = sorted(set(re.findall(r"\]\((?!https?:)([^)#]+)", TEXT)))


def test_a_change_has_a_table_of_the_files_that_it_touches() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize("name", [*NAMED, *LINKED])
def test_a_named_file_exists(name: str) -> None:
    assert list(ROOT.glob(name)), f"CONTRIBUTING.md names {name}"


@pytest.mark.parametrize("name", MODULES)
def test_a_named_module_exists(name: str) -> None:
    path = ROOT.joinpath(*name.split("."))
    parent = path.parent.with_suffix(".py")  # `tests.needs.require` is a function of a module
    assert path.with_suffix(".py").is_file() or path.is_dir() or parent.is_file(), f"CONTRIBUTING.md names {name}"
