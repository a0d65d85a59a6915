"""`include:` of routes.yaml: teams' files, whose upstreams and routes are added to those of routes.yaml itself.

The trees are joined before they are validated, so that one set of rules sees all routes. Each node knows its file.
"""

import glob
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, Literal

from strangler.config import reader
from strangler.config.document import Document, MappingNode, Node, Scalar, SequenceNode, place_of
from strangler.config.problem import Problem
from strangler.core.routing.arm import LEGACY

KEYS: Final = ("version", "owner", "upstreams", "routes")
"""The keys of an included file."""
MAX_FILES: Final = 1000

Contents = Mapping[Path, bytes | OSError]
"""The content of files by path, or the error for a file that cannot be read."""


@dataclass(frozen=True, slots=True)
class Joined:
    """The document with everything that it includes, and the files that were read."""

    document: Document
    paths: tuple[Path, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    """Errors and warnings about `include` itself and about files as a whole."""


def patterns_of(read: Document) -> tuple[str, ...]:
    """Return those patterns of `include` that are texts."""
    listed = read.node(("include",))
    items = listed.items if isinstance(listed, SequenceNode) else []
    return tuple(item.text for item in items if isinstance(item, Scalar) and item.text)


def find_files(path: Path, patterns: tuple[str, ...]) -> tuple[Path, ...]:
    """Return the files that the patterns of a routes.yaml match, each once: pattern by pattern, sorted by name.

    routes.yaml itself is never among them, nor is a file whose name begins with a dot, unless the pattern does too.
    """
    found: dict[Path, None] = {}
    for pattern in patterns:
        found.update(dict.fromkeys(_matching(path, pattern)))
    return tuple(found)


def folders_of(path: Path, patterns: tuple[str, ...]) -> set[Path]:
    """Return the existing folders where a file that the patterns match may appear."""
    found: set[Path] = set()
    for pattern in patterns:
        parts = Path(pattern).parts[:-1]
        for count in range(len(parts) + 1):
            names = glob.glob(str(Path(*parts[:count])), root_dir=path.parent, recursive=True) if count else ["."]
            found.update(path.parent / name for name in names if (path.parent / name).is_dir())
    return found


def read_contents(paths: tuple[Path, ...]) -> dict[Path, bytes | OSError]:
    """Read files, each up to one byte beyond the limit."""
    return {path: _content(path) for path in paths}


def join(main: Document, path: Path | None, environ: Mapping[str, str], contents: Contents | None = None) -> Joined:
    """Return the document with the routes and upstreams of all that it includes.

    `path`: that of routes.yaml; None: nothing is read, and including files is an error. `contents` replaces what is on
    disk, for the files that it names.
    """
    listed = main.node(("include",))
    if main.root is None or not isinstance(listed, SequenceNode) or not listed.items:
        return Joined(main)
    if path is None:
        where = _Notes()
        where.add(listed, "include is followed only in a file", "name the file")
        return Joined(main, (), where.found)
    return _Joining(main, path, environ, contents or {}).join(listed)


class _Notes:
    """Problems, each at the place of a node."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def add(self, node: Node, what: str, way_out: str, *, mark: object = None, is_warning: bool = False) -> None:
        place = place_of(mark if mark is not None else node.start)
        severity: Literal["error", "warning"] = "warning" if is_warning else "error"
        self.found.append(Problem(*place, "", what, way_out, severity))


class _Joining:
    """One reading of all files that a document includes."""

    def __init__(self, main: Document, path: Path, environ: Mapping[str, str], contents: Contents) -> None:
        self._main = main
        self._path = path
        self._environ = environ
        self._contents = contents
        self._notes = _Notes()
        self._aliased = set(main.aliased)

    def join(self, listed: SequenceNode) -> Joined:
        assert self._main.root is not None
        root = self._main.root
        routes, upstreams = root.values.get("routes"), root.values.get("upstreams")
        # A wrong type in routes.yaml itself is reported later; the files are read anyway.
        all_routes = _copied_items(routes) if isinstance(routes, SequenceNode) else SequenceNode(listed.start)
        all_upstreams = _copied_table(upstreams) if isinstance(upstreams, MappingNode) else MappingNode(listed.start)
        paths = self._paths(listed)
        for path in paths:
            read = self._read(path)
            if read is not None and read.root is not None:
                self._aliased |= read.aliased
                self._add(read.root, all_routes, all_upstreams)
        values, keys = dict(root.values), dict(root.keys)
        for name, node, made in (("routes", routes, all_routes), ("upstreams", upstreams, all_upstreams)):
            if node is None or isinstance(node, SequenceNode | MappingNode):
                values[name] = made
                keys.setdefault(name, keys["include"])
        whole = replace(root, values=values, keys=keys)
        joined = replace(self._main, root=whole, aliased=self._aliased, is_whole=False)
        return Joined(joined, paths, self._notes.found)

    def _paths(self, listed: SequenceNode) -> tuple[Path, ...]:
        found: dict[Path, None] = {}
        for item in listed.items:
            if not isinstance(item, Scalar) or not item.text:
                continue  # the models complain
            matching = _matching(self._path, item.text)
            if not matching and glob.has_magic(item.text):
                self._notes.add(
                    item,
                    f"include: {item.text!r} matches no file",
                    "it takes effect once there is one",
                    is_warning=True,
                )
            elif not matching:
                self._notes.add(
                    item, f"include: there is no file {item.text!r}", f"it is looked for in {self._path.parent}"
                )
            found.update(dict.fromkeys(matching))
        if len(found) > MAX_FILES:
            self._notes.add(listed, f"include names {len(found)} files", f"at most {MAX_FILES} are allowed")
            return ()
        return tuple(found)

    def _read(self, path: Path) -> Document | None:
        content = self._contents[path] if path in self._contents else _content(path)
        if isinstance(content, OSError):
            what = f"the file cannot be read: {content.strerror or content}"
            self._notes.found.append(Problem(str(path), 0, 0, "", what, "routes.yaml includes it; take it out there"))
            return None
        read = reader.read(content, str(path), self._environ, keys="`owner:` and `routes:`")
        self._notes.found += read.problems
        return read

    def _add(self, root: MappingNode, routes: SequenceNode, upstreams: MappingNode) -> None:
        for key in root.values:
            if key not in KEYS:
                way_out = f"an included file has {', '.join(KEYS[1:])}; all else belongs in routes.yaml"
                self._notes.add(root, f"unknown key '{key[:60]}'", way_out, mark=root.keys[key])
        version = root.values.get("version")
        if version is not None and not (isinstance(version, Scalar) and version.text in {"1", "1.0"}):
            self._notes.add(version, "version is not 1", "write 1, or take it out")
        self._add_upstreams(root.values.get("upstreams"), upstreams)
        self._add_routes(root, root.values.get("routes"), routes)

    def _add_upstreams(self, added: Node | None, upstreams: MappingNode) -> None:
        if added is None or _is_nothing(added):
            return
        if not isinstance(added, MappingNode):
            self._notes.add(added, "upstreams is not a mapping", "write `NAME: {url: …}`")
            return
        for name, node in added.values.items():
            mark = added.keys[name]
            if name == LEGACY:
                self._notes.add(added, "upstream 'legacy' belongs in routes.yaml", "take it out here", mark=mark)
            elif name in upstreams.values:
                file, line, _ = place_of(upstreams.keys[name])
                what = f"the upstream '{name[:60]}' is already in {file} on line {line}"
                self._notes.add(added, what, "give each its own name, or keep one of them", mark=mark)
            else:
                upstreams.values[name], upstreams.keys[name] = node, mark

    def _add_routes(self, root: MappingNode, added: Node | None, routes: SequenceNode) -> None:
        owner = self._owner(root)
        if added is None or _is_nothing(added):
            return
        if not isinstance(added, SequenceNode):
            self._notes.add(added, "routes is not a list", "write each route on a line that starts with -")
            return
        for number, item in enumerate(added.items):
            if isinstance(item, MappingNode) and owner is not None and "owner" not in item.values:
                item = _copied_table(item)
                item.values["owner"], item.keys["owner"] = owner, root.keys["owner"]
            routes.items.append(item)
            routes.numbers.append(number)

    def _owner(self, root: MappingNode) -> Scalar | None:
        owner = root.values.get("owner")
        if isinstance(owner, Scalar) and (owner.text or owner.is_broken):
            return None if owner.is_broken else owner
        if owner is not None:
            way_out = "name who is responsible for these routes, such as `owner: payments`"
            self._notes.add(owner, "owner is not a name", way_out)
        return None


def _is_nothing(node: Node) -> bool:
    return isinstance(node, Scalar) and node.text is None


def _matching(path: Path, pattern: str) -> list[Path]:
    folder = path.parent
    try:
        names = sorted(glob.glob(pattern, root_dir=folder, recursive=True))
    except (OSError, ValueError):  # a NUL in the pattern
        return []
    found = [folder / name for name in names]
    return [each_path for each_path in found if each_path.is_file() and not _is_same(each_path, path)]


def _is_same(path: Path, other: Path) -> bool:
    try:
        return path.samefile(other)
    except OSError:
        return False


def _content(path: Path) -> bytes | OSError:
    try:
        with path.open("rb") as file:
            return file.read(reader.MAX_BYTES + 1)
    except OSError as error:
        return error


def _copied_items(node: SequenceNode) -> SequenceNode:
    numbers = list(node.numbers) if node.numbers else list(range(len(node.items)))
    return replace(node, items=list(node.items), numbers=numbers)


def _copied_table(node: MappingNode) -> MappingNode:
    return replace(node, values=dict(node.values), keys=dict(node.keys))
