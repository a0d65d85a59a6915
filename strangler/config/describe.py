"""All keys of routes.yaml as data, made from the models: for the reference in the docs and for the JSON Schema."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from strangler.config.leaf import Kind, Unwritten
from strangler.config.schema import File
from strangler.config.schema_routes import RouteDefaults
from strangler.config.schema_upstreams import LegacyBreaker, LegacyTimeouts, Upstream, UpstreamDefaults, Upstreams
from strangler.config.section import Section, keys_of
from strangler.config.types import Switchable
from strangler.core.listener_settings import Address

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Key:
    """One row of the reference. `default` is Markdown; None if the key is required."""

    path: str
    type: str
    default: str | None
    meaning: str
    example: str


def keys() -> list[Key]:
    """Return every key, in the order of the models. `NAME` and `FIELD` stand for words that the user chooses."""
    return [
        *_section(File, ""),
        _of_legacy("timeouts.response", LegacyTimeouts, "10s"),
        _of_legacy("breaker.counts", LegacyBreaker, "[connect]"),
    ]


def _section(model: type[BaseModel], prefix: str) -> Iterator[Key]:
    for name, field in keys_of(model).items():
        yield from _key(f"{prefix}{name}", field)


def _key(path: str, field: FieldInfo) -> Iterator[Key]:
    example = str((field.examples or [""])[0])
    yield Key(path, kind(field), default_text(field), field.description or "", example)
    inner = inner_model(field.annotation)
    if inner is Upstreams:
        yield from _section(Upstream, f"{path}.NAME.")
    elif inner is not None and inner not in (UpstreamDefaults, RouteDefaults):  # listed with the real sections
        yield from _section(inner, f"{path}{_between(field.annotation)}")


def _between(annotation: Any) -> str:
    origins = {get_origin(annotation), *(get_origin(part) for part in get_args(annotation))}
    if tuple in origins:
        return "[]."
    return ".FIELD." if dict in origins else "."


def _of_legacy(path: str, section: type[Section], example: str) -> Key:
    """Return the row of a key that has another default for legacy."""
    field = section.model_fields[path.rpartition(".")[2]]
    return Key(
        f"upstreams.legacy.{path}", kind(field), default_text(field), f"{field.description} For legacy.", example
    )


def inner_model(annotation: object) -> type[BaseModel] | None:
    """Return the model inside of `Model`, `Model | None`, `tuple[Model, ...]` or `dict[str, Model]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(inner_model, get_args(annotation)) if found is not None), None)


def kind(field: FieldInfo) -> str:
    """Return the name of a key's type in the reference."""
    named = _named(field.metadata)
    if named:
        return named
    annotation, inner = field.annotation, inner_model(field.annotation)
    if get_origin(annotation) is tuple:
        item = get_args(annotation)[0]
        return f"list of {'mappings' if inner is not None else _named(getattr(item, '__metadata__', ()))}"
    if _first(Switchable, field.metadata) is not None:
        return "mapping or `false`"
    return "mapping or null" if type(None) in get_args(annotation) else "mapping"


def _named(metadata: Iterable[Any]) -> str:
    found = _first(Kind, metadata)
    return "" if found is None else found.name


def default_text(field: FieldInfo) -> str | None:
    """Return the default as routes.yaml would write it; None if the key is required."""
    if field.is_required():
        return None
    unwritten = _first(Unwritten, field.metadata)
    if unwritten is not None:
        return unwritten.means
    value = default_value(field)
    return ALL_DEFAULTS if value is NOT_A_VALUE else f"`{_yaml(value)}`"


NOT_A_VALUE = object()
ALL_DEFAULTS = "all defaults"


def default_value(field: FieldInfo) -> Any:
    """Return the default as JSON would write it; `NOT_A_VALUE` if it is a whole section or the value of another key."""
    value = field.get_default(call_default_factory=True, validated_data={})
    if isinstance(value, Section) or _first(Unwritten, field.metadata) is not None:
        return NOT_A_VALUE
    if value is None and _first(Switchable, field.metadata) is not None:
        return False
    named = _first(Kind, field.metadata)
    if value is None:
        return "none" if named is not None and "`none`" in named.name else None
    if isinstance(value, tuple) and value and named is not None:
        return named.write(value)
    if isinstance(value, tuple):
        return {} if named is not None else list(value)
    return str(value) if isinstance(value, Address) else value if named is None else named.write(value)


def _first(of: type[T], metadata: Iterable[Any]) -> T | None:
    return next((each for each in metadata if isinstance(each, of)), None)


def _yaml(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return f"[{', '.join(map(_yaml, value))}]"
    if isinstance(value, dict):
        return "{}"
    return f"{value:g}" if isinstance(value, float) else str(value)
