"""Change one number in routes.yaml: every other byte of the file stays as it is.

The parser finds where the value is, and the text is replaced there. Nothing is serialized again, so comments, quotes,
order and layout cannot change. The result is loaded again before it is returned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from strangler.config import reader
from strangler.config.defaults import with_defaults
from strangler.config.document import Document, MappingNode, Node, Scalar, SequenceNode
from strangler.config.load import Loaded
from strangler.config.scalars import did_you_mean
from strangler.config.source_files import Files
from strangler.core.settings import RouteSettings, Settings


class EditError(Exception):
    """The reason why the file cannot be edited, and the way out. `loaded` holds the problems, if the file has any."""

    def __init__(self, message: str, loaded: Loaded | None = None) -> None:
        super().__init__(message)
        self.loaded = loaded


class HasRolloutError(Exception):
    """The route's percent is moved by its rollout. `line`: where that stands, None if it is that of `defaults`."""

    def __init__(self, route: str, settings: Settings, line: str | None) -> None:
        super().__init__(f"route '{route}' has a rollout, which moves its percent")
        self.route = route
        self.settings = settings
        self.line = line


@dataclass(frozen=True, slots=True)
class Edit:
    """The texts before and after, and the result of loading the new ones."""

    before: Files
    after: Files
    old_percent: float | None  # None: the file had problems
    loaded: Loaded

    @property
    def changed(self) -> tuple[str, ...]:
        """The names of the files that differ."""
        return tuple(name for name, text in self.before.texts.items() if self.after.texts[name] != text)


def set_percent(files: Files, route: str, percent: float, environ: Mapping[str, str]) -> Edit:
    """Return the texts with `split.percent` of a route changed, in the file that has the route.

    Raises EditError, and HasRolloutError for a route whose percent its rollout moves.
    """
    read, mapping = route_table(files, route, environ)
    before = files.load(environ)
    if before.settings is not None and find_route(before.settings, route).rollout is not None:
        raise HasRolloutError(route, before.settings, _line_of_rollout(files, read, mapping))
    old = None if before.settings is None else find_route(before.settings, route).split.percent
    if old == percent:
        return Edit(files, files, old, before)
    after = files.with_text(read.name, _with_percent(read, mapping, route, f"{percent:g}"))
    loaded = after.load(environ)
    if loaded.settings is None:
        raise EditError("nothing was changed, because the file would have problems", loaded)
    if not _is_as_wanted(before.settings, loaded.settings, route, percent):
        raise EditError(f"route '{route}': the file is written in a way that cannot be edited; change it by hand")
    return Edit(files, after, old, loaded)


def _line_of_rollout(files: Files, read: Document, route: MappingNode) -> str | None:
    mark = route.keys.get("rollout")
    if mark is None:
        return None
    return f"line {mark.line + 1}" if read.name == files.name else f"line {mark.line + 1} of {read.name}"


def has_gate(files: Files, route: str) -> bool:
    """True if the files have a `gate` for the route, even an empty one: its author wants it enforced."""
    main = reader.read(files.text, files.name, {})
    if any("gate" in mapping.values for known, mapping in _tables(with_defaults(main)) if known == route):
        return True
    has_default = main.node(("defaults", "routes", "gate")) is not None
    included = (reader.read(text, name, {}) for name, text in files.included.items())
    return any(
        has_default or "gate" in mapping.values
        for read in included
        for known, mapping in _tables(read)
        if known == route
    )


def route_names(files: Files) -> list[str]:
    """Return the names of the routes in the files, even if these have problems."""
    reads = [reader.read(text, name, {}) for name, text in files.texts.items()]
    return [name for read in reads for name, _ in _tables(read) if name]


def route_table(files: Files, name: str, environ: Mapping[str, str]) -> tuple[Document, MappingNode]:
    """Return the document of the file that has the named route, and the route's mapping. Raises EditError."""
    names = []
    for file, text in files.texts.items():
        read = reader.read(text, file, environ)
        for known, mapping in _tables(read):
            if known == name:
                return read, mapping
            names.append(known)
    loaded = files.load(environ)
    if loaded.problems:
        raise EditError("nothing was changed, because the file has problems", loaded)
    raise EditError(unknown_route(name, names))


def unknown_route(name: str, names: Sequence[str]) -> str:
    """Return the message about a name that no route of the file has."""
    way_out = did_you_mean(name, names) or (
        f"the file has {', '.join(names[:10])}" if names else "the file has no routes"
    )
    return f"unknown route '{name}'; {way_out}"


def _tables(read: Document) -> list[tuple[str, MappingNode]]:
    routes = read.root.values.get("routes") if read.root is not None else None
    items = routes.items if isinstance(routes, SequenceNode) else []
    return [(_name(item), item) for item in items if isinstance(item, MappingNode)]


def _name(mapping: MappingNode) -> str:
    node = mapping.values.get("name")
    return (node.text or "") if isinstance(node, Scalar) else ""


def _with_percent(read: Document, route: MappingNode, name: str, number: str) -> str:
    text, split = read.text, route.values.get("split")
    if shared(read, route) or "split" in route.merged or (split is not None and shared(read, split)):
        raise EditError(f"route '{name}': its split comes from an anchor that others use too; write it out first")
    if split is None:
        return _add_split(text, route, number)
    if isinstance(split, Scalar):
        return fill(text, route, "split", split, f"{{percent: {number}}}")
    percent = split.values.get("percent") if isinstance(split, MappingNode) and "percent" not in split.merged else None
    if isinstance(split, MappingNode) and percent is None:
        return add_key(text, split, f"percent: {number}")
    if not isinstance(split, MappingNode) or not isinstance(percent, Scalar):
        raise EditError(f"route '{name}': split.percent is not a number; change it by hand")
    if "${" in percent.written:
        raise EditError(f"route '{name}': split.percent is {percent.written}, from the environment; set it there")
    if shared(read, percent):
        raise EditError(f"route '{name}': split.percent has an anchor that others use too; write it out first")
    sign = "%" if percent.written.endswith("%") else ""
    quote = percent.style if percent.style in {"'", '"'} else ""
    return fill(text, split, "percent", percent, f"{quote}{number}{sign}{quote}")


def shared(read: Document, node: Node) -> bool:
    return id(node) in read.aliased


def fill(text: str, mapping: MappingNode, key: str, value: Scalar, new: str) -> str:
    """Replace a value; where there is none yet, write it after the key's colon."""
    start, end = value.start.index, value.end.index
    if text[start:end].strip():
        return text[:start] + new + text[start:end][len(text[start:end].rstrip()) :] + text[end:]
    colon = text.index(":", mapping.keys[key].index + len(key)) + 1
    return f"{text[:colon]} {new}{text[colon:]}"


def add_key(text: str, mapping: MappingNode, entry: str) -> str:
    """Put an entry in front of the others of a mapping."""
    start = mapping.start.index
    if not mapping.flow:
        return f"{text[:start]}{entry}{line_ending(text)}{' ' * mapping.start.column}{text[start:]}"
    inside = start + 1
    gap = " " if text[inside : inside + 1] == " " and mapping.values else ""
    comma = ", " if mapping.values else ""
    return f"{text[:inside]}{gap}{entry}{comma}{text[inside + len(gap) :]}"


def _add_split(text: str, route: MappingNode, number: str) -> str:
    """Put a whole `split` after the candidate, or after the name."""
    key = "candidate" if "candidate" in route.values and "candidate" not in route.merged else "name"
    anchor = route.values.get(key)
    if not isinstance(anchor, Scalar) or key in route.merged:
        raise EditError("the route's name comes from an anchor; change it by hand")
    end = anchor.end.index
    if route.flow:
        return f"{text[:end]}, split: {{percent: {number}}}{text[end:]}"
    indent, newline = " " * route.keys[key].column, line_ending(text)
    line_end = text.find("\n", end)
    added = f"{indent}split:{newline}{indent}  percent: {number}"
    if line_end < 0:
        return f"{text}{newline}{added}{newline}"
    return f"{text[: line_end + 1]}{added}{newline}{text[line_end + 1 :]}"


def line_ending(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _is_as_wanted(before: Settings | None, after: Settings, name: str, percent: float) -> bool:
    """True if the percent is as wanted and all other settings are unchanged."""
    if before is None:
        return find_route(after, name).split.percent == percent
    routes = tuple(
        replace(route, split=replace(route.split, percent=percent)) if route.name == name else route
        for route in before.routes
    )
    return replace(before, routes=routes) == after


def find_route(settings: Settings, name: str) -> RouteSettings:
    return next(route for route in settings.routes if route.name == name)
