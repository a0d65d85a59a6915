"""The file of `--callers`: header fields of single callers, each with its place."""

import os
from pathlib import Path

from strangler.config import reader
from strangler.config.document import Document, MappingNode, Node, Scalar
from strangler.core.replaying.given import PlaceOf


def read_callers(path: Path | None) -> tuple[object, PlaceOf | None, list[str]]:
    """Return the file as plain data (None: there is none), the places in it, and what is wrong with it.

    `${VARIABLE}` is replaced as in routes.yaml, so that tokens need not stand in the file.
    """
    if path is None:
        return None, None, []
    try:
        with path.open("rb") as file:
            data = file.read(reader.MAX_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        return None, None, [f"--callers: {path} cannot be read: {reason}; name another file"]
    read = reader.read(data, str(path), os.environ, keys="`CALLER: {Header: value}`", has_extensions=False)
    if read.root is None or read.problems:
        return None, None, [f"--callers: {problem}" for problem in read.problems]
    return _plain(read.root), _places(read), []


def _plain(node: Node) -> object:
    """Return a node as plain data. A scalar is its text, whatever YAML takes it for: a number is a fine token."""
    if isinstance(node, Scalar):
        return node.text
    if isinstance(node, MappingNode):
        return {key: _plain(value) for key, value in node.values.items()}
    return [_plain(item) for item in node.items]


def _places(read: Document) -> PlaceOf:
    def place_of(caller: str | None, name: str | None) -> str:
        steps = tuple(step for step in (caller, name) if step is not None)
        file, line, column = read.place(steps, key=True)
        return f"--callers: {file}:{line}:{column}"

    return place_of
