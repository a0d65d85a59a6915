"""The JSON Schema of routes.yaml, for editors that complete and check as you type."""

from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from strangler.config.describe import NOT_A_VALUE, default_value, inner_model
from strangler.config.leaf import VARIABLE
from strangler.config.reader import EXTENSION
from strangler.config.schema import File
from strangler.config.schema_upstreams import Upstream, Upstreams
from strangler.config.section import keys_of

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXTENSION_MEANING = "Anything: the proxy ignores it. For anchors, and for what other programs read."
_VARIABLE_MEANING = "`${VAR}` or `${VAR:-default}`: read from the environment."


class _WithoutDefaults(GenerateJsonSchema):
    """A generator that leaves defaults out: they are added later, in the form in which they are written."""

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"])


def json_schema() -> dict[str, Any]:
    """Return the schema, in draft 2020-12. Every value may have a variable in it."""
    schema = File.model_json_schema(schema_generator=_WithoutDefaults)
    definitions = schema["$defs"]
    for model in _models(File):
        shape = schema if model is File else definitions[model.__name__]
        _describe(model, shape)
    schema["patternProperties"] = {f"^{EXTENSION}": {"description": _EXTENSION_MEANING}}
    schema = _with_variable_reference(schema)
    schema["$defs"]["Variable"] = {**VARIABLE, "description": _VARIABLE_MEANING}
    return {"$schema": _DIALECT, **schema, "title": "routes.yaml of Strangler"}


def _models(model: type[BaseModel]) -> set[type[BaseModel]]:
    found = {model}
    for field in model.model_fields.values():
        inner = inner_model(field.annotation)
        if inner is not None:
            found |= _models(inner)
    return found | (_models(Upstream) if model is Upstreams else set())


def _describe(model: type[BaseModel], shape: dict[str, Any]) -> None:
    shape.pop("title", None)
    for name, field in keys_of(model).items():
        of_key = shape["properties"][name]
        of_key.pop("title", None)
        of_key.pop("examples", None)  # examples are YAML text, which JSON Schema does not take for values
        value = NOT_A_VALUE if field.is_required() else default_value(field)
        if value is not NOT_A_VALUE:
            of_key["default"] = value


def _with_variable_reference(node: Any) -> Any:
    if node == VARIABLE:
        return {"$ref": "#/$defs/Variable"}
    if isinstance(node, dict):
        return {name: _with_variable_reference(value) for name, value in node.items()}
    return [_with_variable_reference(value) for value in node] if isinstance(node, list) else node
