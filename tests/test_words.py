"""The words of the code are those of docs/glossary.md: no identifier, file name or docstring uses one of its others."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FOLDERS = ("strangler", "tests")
GLOSSARY = (ROOT / "docs" / "glossary.md").read_text()

OTHER_SENSES = {
    "target": "the request-target of RFC 9112 section 3.2",
    "origin": "the field Origin, and the origin-form of a request-target",
    "old": "before a change, of any thing; it names no arm",
    "new": "after a change, of any thing; it names no arm",
    "next": "in time or order; it names no arm",
    "rule": "accept rules, retry rules, rules of CSS; a route has none",
    "filter": "the filters of a list, as of the inbox; a route has none",
    "weight": "a number of statistics; the candidate's share is a percent",
    "ratio": "a quotient, as of two times; the candidate's share is a percent",
    "force": "the option --force, and `in force`",
    "level": "of logs, and of nesting; a difference has a severity",
    "ignore": "what a parser or a receiver passes over; a difference is accepted",
    "mask": "a bit mask, and what hides a secret; a difference is accepted",
    "control": "the process; and control characters",
    "retry": "another attempt, and the field Retry-After; a second look is a recheck",
    "version": "of HTTP, of the program, of a file format; a candidate has releases",
    "build": "the act, as of settings from a document; a candidate has releases",
    "token": "of the admin listener, of RFC 9110, of CSRF; admission hands out permits",
    "channel": "the socket between supervisor and control; workers have a link",
    "threshold": "of an algorithm; a route has a gate",
    "tee": "a body's second receiver; a copy to the other arm is a shadow",
    "mirror": "a law of tests: swapping the sides mirrors the differences",
    "monolith": "the real one that tests start; in the package it is legacy",
    "variant": "of a benchmark; a route has arms",
    "agent": "the field User-Agent",
    "cluster": "of Envoy: what a route of its leads to",
    "circuit": "the circuit breakers of Envoy, which are limits",
    "bug": "a fault of our own code; a difference that is seen again and again is a signature",
    "v1": "of Linux's control groups",
}
"""Words of the *not* column that are right where they mean something else, with what they mean then."""

DOCUMENTS = {
    "Struct": "written and read by msgspec",
    "BaseModel": "read by pydantic",
    "TypedDict": "keys of a dict",
    "AuditFilters": "the query of the audit, in addresses and pages",
}
"""Classes whose fields are a contract, and all that inherit from them, with the reason."""

SAME_MODULES: Mapping[str, str] = {
    "aggregate": "the decision, the parts of a live request, and those of a shadow",
    "evidence": "a command, and the floors below it",
    "explain": "a command, and the decision that it prints",
    "status": "a command, and the page that it prints",
    "schema": "a command, and the schema that it prints",
    "kill_switch": "a command, and the file that it writes",
    "assembly": "how the objects of a part of control are built",
    "demo": "a command, and the package that it runs",
    "events": "a command, and the package that it reads",
    "shadow": "a command, and the package that it steers",
    "state": "a command, and the folder that it saves",
    "ledger": "a command, and the counting of a worker",
    "plan": "a command, and the decision that it asks for",
    "problem": "of a file, and the response of RFC 9457",
    "process": "how a worker, and any child, is started",
}
"""Module names that sibling packages both have, with the reason."""

OPENINGS = {"Of", "Who", "Whom", "What", "Until", "In"}
"""A docstring never begins with these: it is one sentence whose subject is the thing."""


def split_row(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def others() -> set[tuple[str, ...]]:
    """Return the words of the glossary's first table that are not used, each as its components."""
    found = set()
    for line in GLOSSARY.partition("## Names in the code")[0].splitlines():
        if not line.startswith("| ") or line.startswith("| word "):
            continue
        for entry in re.split(r"[,;]", split_row(line)[2]):
            word, _, note = entry.strip().partition(" (")
            if word and word != "–" and "in prose" not in note:
                found.add(tuple(re.split(r"[ -]", word.lower())))
    return found


def names(kind: str) -> set[str]:
    """Return the entries of one kind in the glossary's second table."""
    rows = [split_row(line) for line in GLOSSARY.partition("## Names in the code")[2].splitlines()]
    return {entry.strip() for row in rows if row[0] == kind for entry in row[1].split(",")}


OTHERS = {word for word in others() if not (len(word) == 1 and word[0] in OTHER_SENSES)} | {
    (word,) for word in names("word")
}
VARIABLES = names("variable")
NAMES = names("name")
MODULES = names("module")


def components(name: str) -> tuple[str, ...]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return tuple(part.lower() for part in spaced.split("_") if part)


def is_used(word: tuple[str, ...], name: str) -> bool:
    """Return whether a name has the word among its components, also in the plural."""
    parts = components(name)
    plural = (*word[:-1], word[-1] + "s")
    return any(parts[at : at + len(word)] in (word, plural) for at in range(len(parts)))


def problem(name: str) -> str | None:
    """Return the word of the glossary that an identifier must not use, or None."""
    if name.strip("_") in VARIABLES:
        return name
    return next((" ".join(word) for word in sorted(OTHERS) if is_used(word, name)), None)


def files() -> Iterator[Path]:
    for folder in FOLDERS:
        yield from sorted((ROOT / folder).rglob("*.py"))


TREES = {file: ast.parse(file.read_text()) for file in files()}
BASES = {
    node.name: {ast.unparse(base).split("[")[0].rpartition(".")[2] for base in node.bases}
    for tree in TREES.values()
    for node in ast.walk(tree)
    if isinstance(node, ast.ClassDef)
}


def is_document(name: str, seen: frozenset[str] = frozenset()) -> bool:
    """Return whether a class is written or read as it stands: its fields are a contract, or settings of its library."""
    if name in DOCUMENTS:
        return True
    return name not in seen and any(is_document(base, seen | {name}) for base in BASES.get(name, ()))


def is_command(node: ast.AST) -> bool:
    """Return whether click calls a function: its parameters are named after options."""
    decorators = getattr(node, "decorator_list", ())
    return any(re.search(r"command|option|argument", ast.unparse(each)) for each in decorators)


def is_sentence(name: str) -> bool:
    """Return whether it is the name of a test: a sentence, in English, about the rule that it holds."""
    return name.startswith(("test_", "Test"))


def names_of(node: ast.AST) -> list[str]:
    """Return the identifiers that a node itself defines."""
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [] if is_sentence(name) else [name]
        case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
            return [name]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.alias(asname=str(name)):
            return [name]
    return []


def below(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes below one whose names are its author's own: no fields of documents, no parameters of commands."""
    for child in ast.iter_child_nodes(node):
        is_field = isinstance(node, ast.ClassDef) and isinstance(child, ast.AnnAssign) and is_document(node.name)
        is_option = isinstance(child, ast.arguments) and is_command(node)
        if not (is_field or is_option):
            yield child


def defined(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the identifiers that a node and those below it define, each with its line."""
    yield from ((name, getattr(node, "lineno", 0)) for name in names_of(node))
    for child in below(node):
        yield from defined(child)


def docstrings(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Yield the texts that stand below a module, class, function or name."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        for statement in body if isinstance(body, list) else []:
            if (
                isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
            ):
                yield statement.value.value, statement.lineno


def packages() -> Iterator[list[Path]]:
    """Yield the packages of each folder, which are siblings."""
    root = ROOT / "strangler"
    for folder in (root, *sorted(path for path in root.rglob("*") if path.is_dir())):
        below = [path for path in sorted(folder.iterdir()) if (path / "__init__.py").exists()]
        if below:
            yield below


def test_identifiers_use_the_words_of_the_glossary() -> None:
    found = {
        f"{file.relative_to(ROOT)}:{line}: {name} uses '{word or name}'"
        for file, tree in TREES.items()
        for name, line in defined(tree)
        if (word := problem(name)) is not None or (name.strip("_") in NAMES and is_own(file))
    }
    assert not found, "\n".join(sorted(found))


def test_docstrings_begin_with_their_subject() -> None:
    found = [
        f"{file.relative_to(ROOT)}:{line}: {text.strip().splitlines()[0]}"
        for file, tree in TREES.items()
        for text, line in docstrings(tree)
        if text.split() and text.split()[0].strip(".,:;") in OPENINGS
    ]
    assert not found, "\n".join(found)


def is_own(file: Path) -> bool:
    """Return whether a file belongs to the package, and not to its tests."""
    return file.is_relative_to(ROOT / "strangler")


def has_wrong_name(file: Path) -> bool:
    if file.stem.startswith("test_"):
        return problem(file.stem) is not None or file.stem.removeprefix("test_") in MODULES
    return problem(file.stem) is not None or (is_own(file) and file.stem in MODULES)


def test_file_names_use_the_words_of_the_glossary() -> None:
    assert not [str(file.relative_to(ROOT)) for file in TREES if has_wrong_name(file)]


def test_a_module_name_is_not_used_again_in_a_sibling_package() -> None:
    found = []
    for siblings in packages():
        owners = defaultdict(list)
        for package in siblings:
            for file in package.glob("*.py"):
                if not file.stem.startswith("__"):
                    owners[file.stem].append(package.name)
        found += [f"{stem}: {where}" for stem, where in owners.items() if len(where) > 1 and stem not in SAME_MODULES]
    assert not found, "\n".join(sorted(found))


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("is_answered", "answered"),
        ("CapturedAnswer", "answer"),
        ("_told", "told"),
        ("one", "one"),
        ("is_one_place", None),
        ("storyboard", None),
        ("errorCode", "error code"),
        ("backends", "backend"),
        ("request_target", None),
    ],
)
def test_a_word_is_found_among_the_components_of_a_name(name: str, word: str | None) -> None:
    assert problem(name) == word


def test_the_words_are_read_from_the_glossary() -> None:
    assert {("backend",), ("dark", "launch"), ("fan", "out")} <= others()
    assert ("shape",) not in others(), "it is a word of the code, not of prose"
    assert {"answer", "told"} <= names("word")
    unknown = {word for word in OTHER_SENSES if (word,) not in others()}
    assert not unknown, "no word of the glossary"
