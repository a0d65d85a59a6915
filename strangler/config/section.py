"""The mapping with fixed keys that routes.yaml is made of, and how one key of it is declared."""

from collections.abc import Callable
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.fields import FieldInfo

REQUIRED: Any = ...


class Section(BaseModel):
    """A mapping with fixed keys. A key with nothing under it is an empty section."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_empty(cls, value: Any) -> Any:
        return {} if value is None else value


def key(default: Any, meaning: str, example: str, *, name: str | None = None) -> Any:
    """Declare one key.

    `default` may be `REQUIRED`, or a section's class for all of its defaults. `name` is how the key is written, if
    that is not a Python name.
    """
    if isinstance(default, type) and issubclass(default, Section):
        return Field(default_factory=_shared(default), description=meaning, examples=[example])
    return Field(default=default, alias=name, description=meaning, examples=[example])


def keys_of(model: type[BaseModel]) -> dict[str, FieldInfo]:
    """Return the fields of a model by their names in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _shared(section: type[Section]) -> Callable[[], Section]:
    """Return a factory that always returns one value: sections are frozen, and 10,000 routes leave many out."""
    made: list[Section] = []

    def make() -> Section:
        if not made:
            made.append(section())
        return made[0]

    return make
