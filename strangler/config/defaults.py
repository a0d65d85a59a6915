"""`defaults:` of routes.yaml: values for the keys that upstreams and routes leave out.

The tree is completed before it is validated, so that all code that reads a route sees it written out.
"""

from collections.abc import Container, Iterable
from dataclasses import replace

from strangler.config.document import Document, MappingNode, Node, Scalar, SequenceNode, place_of
from strangler.config.problem import Problem
from strangler.config.scalars import FALSE
from strangler.config.schema_routes import Route
from strangler.config.schema_upstreams import Upstream
from strangler.config.section import keys_of
from strangler.core.routing.arm import LEGACY

OF_TWO_ARMS = ("split", "rollout", "shadow", "gate", "compare", "rewrite", "timeouts", "fallback", "release", "fold")
"""Keys without a meaning with `candidate: legacy`, or with `retire` and no candidate."""
OF_A_MIGRATION = ("split", "rollout", "shadow", "gate", "compare", "fallback", "release", "fold")
"""Keys without a meaning with `passthrough`."""
OF_ONE_CANDIDATE = ("rewrite", "timeouts", "release")
"""Keys without a meaning with `aggregate`."""

_ADDED_UP = frozenset({"accept", "unordered", "redact"})
"""Lists of `compare` to which those of the defaults are added; any other list replaces that of the defaults."""


def with_listed_listeners(document: Document) -> Document:
    """Return the document with `listen` as a list of mappings, whichever of its three forms the file has."""
    listen = document.node(("listen",))
    if document.root is None or listen is None:
        return document
    if isinstance(listen, SequenceNode):
        items = list(map(_as_listener, listen.items))
        made = replace(listen, items=items)
    else:
        made = SequenceNode(listen.start, [_as_listener(listen)], end=listen.end)
    return replace(document, root=_with_values(document.root, {**document.root.values, "listen": made}))


def _as_listener(node: Node) -> Node:
    """Return a mapping for an address that stands alone; the mark of its key is that of the address."""
    if not isinstance(node, Scalar):
        return node
    return MappingNode(node.start, {"address": node}, {"address": node.start}, end=node.end)


def with_defaults(document: Document) -> Document:
    """Return the document with its `defaults` written out. What a route or an upstream has itself wins, key by key, at
    every depth."""
    defaults = document.node(("defaults",))
    if document.root is None or not isinstance(defaults, MappingNode):
        return document
    values = dict(document.root.values)
    of_upstreams, of_routes = defaults.values.get("upstreams"), defaults.values.get("routes")
    upstreams, routes = values.get("upstreams"), values.get("routes")
    if isinstance(of_upstreams, MappingNode) and isinstance(upstreams, MappingNode):
        values["upstreams"] = _with_values(
            upstreams,
            {
                name: _completed(node, of_upstreams, _NULLABLE_OF_UPSTREAM) if name != LEGACY else node
                for name, node in upstreams.values.items()
            },
        )
    if isinstance(of_routes, MappingNode) and isinstance(routes, SequenceNode):
        of_rollouts = _without_percent(of_routes)
        items = [
            _completed(node, of_rollouts if _has_rollout(node) else of_routes, _NULLABLE_OF_ROUTE, _left_out(node))
            for node in routes.items
        ]
        values["routes"] = SequenceNode(routes.start, items, routes.flow, routes.end, routes.has_lost, routes.numbers)
    return replace(document, root=_with_values(document.root, values))


def without_repeats(document: Document, problems: Iterable[Problem]) -> list[Problem]:
    """Return the problems without the repeats from each route that a wrong default is written into."""
    defaults = document.node(("defaults",))
    if not isinstance(defaults, MappingNode):
        return list(problems)
    first, last = place_of(defaults.start), place_of(defaults.end)
    alike: dict[tuple[str, int, int, str], list[Problem]] = {}
    for problem in sorted(problems, key=lambda problem: (problem.order, problem.where)):
        place = (problem.file, problem.line, problem.column)
        same = f"{problem.severity} {problem.way_out}" if first <= place < last else str(problem)
        alike.setdefault((*place, same), []).append(problem)
    return list(map(_together, alike.values()))


def _together(alike: list[Problem]) -> Problem:
    """Return the first, which is that of `defaults` itself if there is one; else it names how many more there are."""
    first, more = alike[0], len({problem.where for problem in alike}) - 1
    return replace(first, where=f"{first.where} and {more} more") if first.where and more else first


def _nullable(keys: Iterable[tuple[str, object]]) -> frozenset[str]:
    return frozenset(name for name, default in keys if default is None)


_NULLABLE_OF_ROUTE = _nullable((name, field.default) for name, field in keys_of(Route).items())
_NULLABLE_OF_UPSTREAM = _nullable((name, field.default) for name, field in keys_of(Upstream).items())
"""Keys where null means that there is none; elsewhere a key with nothing under it is an empty section."""


def _left_out(route: Node) -> tuple[str, ...]:
    """Return the keys of defaults that have no effect on this route."""
    if not isinstance(route, MappingNode):
        return ()
    candidate = route.values.get("candidate")
    if isinstance(candidate, Scalar) and candidate.text == LEGACY:
        return OF_TWO_ARMS
    if "passthrough" in route.values:
        return OF_A_MIGRATION
    by_hand = ("rollout",) if _has_percent(route) else ()
    if "aggregate" in route.values:
        return (*OF_ONE_CANDIDATE, *by_hand)
    return OF_TWO_ARMS if candidate is None and "retire" in route.values else by_hand


def _has_percent(route: MappingNode) -> bool:
    """Tell whether a route has a `split.percent` of its own, so that a rollout of the defaults is not for it."""
    split = route.values.get("split")
    return isinstance(split, MappingNode) and ("percent" in split.values or "percent" in split.lost)


def _has_rollout(route: Node) -> bool:
    """Tell whether a route has a `rollout` of its own that is not switched off."""
    rollout = route.values.get("rollout") if isinstance(route, MappingNode) else None
    return rollout is not None and not (isinstance(rollout, Scalar) and (rollout.text or "").lower() in FALSE)


def _without_percent(defaults: MappingNode) -> MappingNode:
    """Return the defaults of routes that have a `rollout` of their own: what a route says itself wins."""
    split = defaults.values.get("split")
    if not isinstance(split, MappingNode) or "percent" not in split.values:
        return defaults
    others = {key: node for key, node in split.values.items() if key != "percent"}
    return _with_values(defaults, {**defaults.values, "split": _with_values(split, others)})


def _completed(own: Node, defaults: MappingNode, nullable: Container[str], left_out: Container[str] = ()) -> Node:
    """Return a route or an upstream with the defaults for what it leaves out."""
    if not isinstance(own, MappingNode):
        return own
    made = _with_values(own, dict(own.values))
    for key, default in defaults.values.items():
        if key not in left_out:
            _complete(made, key, default, defaults, is_null_none=key in nullable)
    return made


def _complete(made: MappingNode, key: str, default: Node, defaults: MappingNode, *, is_null_none: bool) -> None:
    own = made.values.get(key)
    is_empty = isinstance(own, Scalar) and own.text is None and not own.is_broken
    if own is None or (is_empty and isinstance(default, MappingNode) and not is_null_none):
        made.values[key] = default
        made.keys.setdefault(key, defaults.keys[key])
    elif isinstance(own, MappingNode) and isinstance(default, MappingNode):
        inner = _with_values(own, dict(own.values))
        for name, node in default.values.items():
            _complete(inner, name, node, default, is_null_none=True)
        made.values[key] = inner
    elif key in _ADDED_UP and isinstance(own, SequenceNode) and isinstance(default, SequenceNode):
        made.values[key] = SequenceNode(own.start, [*own.items, *default.items], own.flow, own.end)


def _with_values(mapping: MappingNode, values: dict[str, Node]) -> MappingNode:
    return MappingNode(
        mapping.start, values, dict(mapping.keys), mapping.merged, mapping.lost, mapping.flow, mapping.end
    )
