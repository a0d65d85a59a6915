"""Types for keys that hold one scalar, made for pydantic, the reference and JSON Schema at once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import PlainValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

Shape = dict[str, Any]
"""A JSON Schema."""

VARIABLE: Shape = {"type": "string", "pattern": r"\$\{"}
"""A value with `${VAR}` in it: any key may have one."""


def _as_it_is(value: Any) -> object:
    return value


@dataclass(frozen=True, slots=True)
class Kind:
    """The name of a type in the reference of all keys, and how a value of it is written, as JSON."""

    name: str
    write: Callable[[Any], object] = _as_it_is


@dataclass(frozen=True, slots=True)
class Unwritten:
    """The reference's default for a key that has the value of another key unless it is written."""

    means: str


def leaf(
    read: Callable[[str], object],
    kind: str,
    expected: str,
    *shapes: Shape,
    nullable: bool = False,
    write: Callable[[Any], object] = _as_it_is,
) -> tuple[PlainValidator, WithJsonSchema, Kind]:
    """Return what `Annotated` needs to read a scalar. `expected` is the way out for a value that is no scalar."""

    def validate(value: object) -> object:
        if type(value) is str:
            return read(value)
        if nullable and value is None:
            return None
        raise unexpected(expected)

    alternatives = [*shapes, *([{"type": "null"}] if nullable else [])]
    if not any(shape.get("type") == "string" and "pattern" not in shape for shape in shapes):
        alternatives.append(VARIABLE)
    shape = alternatives[0] if len(alternatives) == 1 else {"anyOf": alternatives}
    return PlainValidator(validate), WithJsonSchema(shape), Kind(kind, write)


def unexpected(expected: str) -> PydanticCustomError:
    """Return the error for a value of the wrong kind, such as a list. `{}` stands for the key with its colon."""
    return PydanticCustomError("kind", "{expected}", {"expected": expected})
