"""Validate a tree into a model, with each error of pydantic in our own words, at its place in the file.

What is wrong is cut out of the tree and the rest is validated again, so that the rules that join several keys
(`strangler.config.rules`) can check everything that is valid in the same run.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import get_args

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from strangler.config.document import Document, Loc, MappingNode, Scalar, SequenceNode, plain, without
from strangler.config.problem import Problem
from strangler.config.scalars import FALSE, did_you_mean, is_decimal
from strangler.config.schema import File
from strangler.config.schema_upstreams import Upstream, Upstreams
from strangler.config.section import keys_of

_MAX_QUOTED_CHARS = 60
_ROUNDS = 40
_MOST = 10_000
_STAND_INS: Mapping[Loc, str] = {
    # values that the rules rely on, for a file where they are missing or wrong
    ("version",): "1",
    ("upstreams", "legacy", "url"): "http://legacy.invalid",  # RFC 2606: equal to no real URL
}


def validate(document: Document) -> tuple[File | None, Document, list[Problem]]:
    """Return the model of all that is valid, the document reduced to it, and the problems.

    If there are problems, the model serves only to find more of them; None if nothing is left of it.
    """
    problems: list[Problem] = []
    for _ in range(_ROUNDS):
        if document.root is None:
            break
        try:
            return File.model_validate(plain(document.root)), document, problems
        except ValidationError as error:
            details = error.errors(include_url=False)
        reportable = [detail for detail in details if _is_reportable(document, detail)]
        problems += [_problem(document, detail) for detail in reportable[:_MOST]]
        if len(reportable) > _MOST:
            problems.append(
                Problem(document.name, 0, 0, "", f"{len(reportable) - _MOST} more problems", "fix these first")
            )
        document = _cut(document, details)
    return None, document, problems


def _is_reportable(document: Document, detail: ErrorDetails) -> bool:
    loc = _loc(detail)
    node = document.node(loc)
    if isinstance(node, Scalar) and node.is_broken:
        return False
    parent = document.node(loc[:-1])
    return not (detail["type"] == "missing" and isinstance(parent, MappingNode) and loc[-1] in parent.lost)


def _loc(detail: ErrorDetails) -> Loc:
    loc = detail["loc"]
    return loc[:-1] if loc and loc[-1] == "[key]" else loc


def _cut(document: Document, details: list[ErrorDetails]) -> Document:
    assert document.root is not None
    missing = [_loc(detail) for detail in details if detail["type"] == "missing"]
    cut = {id(document.node(_smallest(document, _loc(d)))) for d in details if d["type"] != "missing"}
    stand_ins = [loc for loc in missing if any(known[: len(loc)] == loc for known in _STAND_INS)]
    cut |= {id(document.node(loc[:-1])) for loc in missing if loc not in stand_ins}
    if id(document.root) in cut:
        return replace(document, root=None)
    root = without(document.root, cut)
    assert isinstance(root, MappingNode)
    for loc in stand_ins:
        _stand_in(root, loc)
    return replace(document, root=root, is_whole=False)


def _smallest(document: Document, loc: Loc) -> Loc:
    while loc and document.node(loc) is None:
        loc = loc[:-1]
    return loc


def _stand_in(root: MappingNode, missing: Loc) -> None:
    for loc, text in _STAND_INS.items():
        if loc[: len(missing)] != missing:
            continue
        mapping = root
        for step in loc[:-1]:
            inner = mapping.values.setdefault(str(step), MappingNode(root.start))
            if not isinstance(inner, MappingNode):
                return
            mapping = inner
        mark = root.start
        mapping.values[str(loc[-1])] = Scalar(text, yaml.ScalarEvent(None, None, (True, False), text, mark, mark))


def where(document: Document, loc: Loc) -> str:
    """Return what a path is about: `route 'orders'`, `upstream 'legacy'`, or nothing for the rest of the file."""
    if len(loc) < 2 or loc[0] not in {"routes", "upstreams"}:
        return ""
    if loc[0] == "upstreams":
        return f"upstream '{loc[1]}'"
    name = document.node((*loc[:2], "name"))
    if isinstance(name, Scalar) and name.text:
        return f"route '{name.text[:_MAX_QUOTED_CHARS]}'"
    return f"route {int(document.as_written(loc)[1]) + 1}"


def dotted(document: Document, loc: Loc) -> str:
    """Return the path as people write it, without the part that `where` names: `split.percent`, `match.methods[0]`."""
    if _stands_alone(document, loc):
        loc = loc[:1]
    loc = document.as_written(loc)
    rest = loc[2:] if len(loc) > 2 and loc[0] in {"routes", "upstreams"} else loc
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in rest)
    return text.removeprefix(".")


def _stands_alone(document: Document, loc: Loc) -> bool:
    """Tell whether a path leads to the one address of `listen`, written without a list and without a mapping."""
    listen, address = document.node(loc[:1]), document.node(loc)
    return (
        loc[:1] == ("listen",)
        and isinstance(listen, SequenceNode)
        and isinstance(address, Scalar)
        and listen.start is address.start
    )


def quoted_value(document: Document, loc: Loc) -> str:
    """Return a value as a message shows it: `is 120`, `is 'soon'`, `has no value`. Secrets are not shown."""
    node = document.node(loc)
    if isinstance(node, MappingNode):
        return "is a mapping"
    if isinstance(node, SequenceNode):
        return "is a list"
    if not isinstance(node, Scalar) or node.text is None:
        return "has no value"
    if "token" in loc or ("headers" in loc and "set" in loc):
        return "is not valid"
    text = re.sub(r"//[^/@]*@", "//…@", node.text)
    text = text if len(text) <= _MAX_QUOTED_CHARS else f"{text[:_MAX_QUOTED_CHARS]}…"
    source = f" (from {node.written})" if "${" in node.written and len(node.written) <= _MAX_QUOTED_CHARS else ""
    return f"is {text if is_decimal(text) else repr(text)}{source}"


def _problem(document: Document, detail: ErrorDetails) -> Problem:
    loc = _loc(detail)
    kind = detail["type"]
    if kind == "missing":
        return _missing(document, loc)
    if kind == "extra_forbidden":
        return _unknown(document, loc)
    place = document.place(loc, key=detail["loc"] != loc)
    return Problem(*place, where(document, loc), *_complaint(document, loc, detail))


def _complaint(document: Document, loc: Loc, detail: ErrorDetails) -> tuple[str, str]:
    key, ctx = dotted(document, loc) or "the file", detail.get("ctx", {})
    if detail["loc"] != loc:
        return f"{dotted(document, loc[:-1])} has the name {str(loc[-1])[:_MAX_QUOTED_CHARS]!r}", str(
            ctx.get("error", detail["msg"])
        )
    if detail["type"] == "value_error":
        return f"{key} {quoted_value(document, loc)}", str(ctx.get("error", detail["msg"]))
    if detail["type"] == "kind":
        return f"{key} {quoted_value(document, loc)}", str(ctx.get("expected", "")).replace("`{}", f"`{loc[-1]}:")
    field = _field(loc)
    example = f" such as {field.examples[0]}" if field is not None and field.examples else ""
    if detail["type"] in {"tuple_type", "list_type"}:
        return (
            f"{key} {quoted_value(document, loc)}",
            f"write a list{example or ', each item on a line that starts with -'}",
        )
    way_out = f"write a mapping{example if '{' in example else ' of its keys'}{_or_null(document, loc, field)}"
    return f"{key} {quoted_value(document, loc)}", way_out


def _or_null(document: Document, loc: Loc, field: FieldInfo | None) -> str:
    """Return the way out for a key that `false` does not switch off, but null does."""
    node = document.node(loc)
    is_off = isinstance(node, Scalar) and (node.text or "").lower() in FALSE
    return ", or null" if is_off and field is not None and type(None) in get_args(field.annotation) else ""


def _missing(document: Document, loc: Loc) -> Problem:
    place = document.place(loc[:-1], key=True)
    field = _field(loc)
    example = f"`{loc[-1]}: {field.examples[0]}`" if field is not None and field.examples else f"`{loc[-1]}:`"
    return Problem(*place, where(document, loc[:-1]), f"{dotted(document, loc)} is missing", f"add {example}")


_MEANT: Mapping[tuple[str, str], str] = {
    ("rollout", "percent"): "the percents of a rollout are its steps: write `steps: [1, 5, 25, 50, 100]`",
}
"""Hints about keys that a section lacks and that no known key resembles, by section and key."""


def _unknown(document: Document, loc: Loc) -> Problem:
    place = document.place(loc, key=True)
    section, key = _model(loc[:-1]), str(loc[-1])
    known = list(keys_of(section)) if section is not None else []
    way_out = (
        _MEANT.get((str(loc[-2]) if len(loc) > 1 else "", key)) or _elsewhere(section, key) or did_you_mean(key, known)
    )
    if not way_out:
        inside = dotted(document, loc[:-1])
        way_out = f"known {f'in {inside}' if inside else 'here'}: {', '.join(known)}"
    return Problem(*place, where(document, loc), f"unknown key '{dotted(document, loc)[:_MAX_QUOTED_CHARS]}'", way_out)


def _elsewhere(section: type[BaseModel] | None, key: str) -> str:
    """Return a hint about a key that belongs one level lower: `percent` in a route means `split.percent`."""
    if section is None:
        return ""
    homes = [name for name, field in keys_of(section).items() if key in _fields(_inner(field.annotation))]
    return f"did you mean {' or '.join(f'{home}.{key}' for home in homes)}?" if homes else ""


def _fields(model: type[BaseModel] | None) -> Mapping[str, FieldInfo]:
    return keys_of(model) if model is not None else {}


def _inner(annotation: object) -> type[BaseModel] | None:
    """Return the model inside of `Model`, `Model | None`, `tuple[Model, ...]` or `dict[str, Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(_inner, get_args(annotation)) if found is not None), None)


def _model(loc: Loc) -> type[BaseModel] | None:
    model: type[BaseModel] | None = File
    for step in loc:
        if isinstance(step, int) or model is None:
            continue
        field = keys_of(model).get(step)
        if field is not None:
            model = _inner(field.annotation)
        elif model is Upstreams:
            model = Upstream
        elif loc[-2:-1] != ("aggregate",):
            return None
    return model


def known_keys(loc: Loc) -> frozenset[str]:
    """Return the keys that the mapping at a path may have; none where it has names."""
    return frozenset(_fields(_model(loc)))


def _field(loc: Loc) -> FieldInfo | None:
    return _fields(_model(loc[:-1])).get(str(loc[-1])) if loc else None
