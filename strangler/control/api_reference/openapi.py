"""The reference as OpenAPI 3.1 (https://spec.openapis.org/oas/v3.1.0), for `/api/openapi.json`."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final, TypeAlias

import msgspec

from strangler import __version__
from strangler.control.api_reference.operations import OPERATIONS, PATH_PARAMETERS, Operation, Parameter
from strangler.core.documents import ProblemDocument

Json: TypeAlias = Mapping[str, Any]

_REFERENCE: Final = "#/components/schemas/{name}"
_PROBLEM: Final = "application/problem+json"


@cache
def openapi_text() -> bytes:
    """Return the OpenAPI document as JSON, made once."""
    return msgspec.json.encode(openapi()) + b"\n"


def openapi() -> Json:
    """Return the OpenAPI document."""
    paths: dict[str, dict[str, Json]] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Strangler",
            "version": __version__,
            "summary": "The admin listener of a strangler proxy.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}, {}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "`admin.token` of routes.yaml. A listener on loopback may have none.",
                }
            },
        },
    }


def schemas() -> Json:
    """Return the JSON Schemas of all documents, by name."""
    types = {type_ for operation in OPERATIONS for type_ in _types(operation)} | {ProblemDocument}
    _, found = msgspec.json.schema_components(sorted(types, key=lambda item: item.__name__), ref_template=_REFERENCE)
    return dict(sorted(found.items()))


def _types(operation: Operation) -> list[type[msgspec.Struct]]:
    found = [] if isinstance(operation.response, str) else [operation.response]
    return found if operation.body is None else [*found, type(operation.body)]


def _operation(operation: Operation) -> Json:
    found: dict[str, Any] = {"summary": operation.summary, "operationId": operation_id(operation)}
    if operation.is_open:
        found["security"] = []
    parameters = [_path_parameter(name) for name in operation.names] + [_parameter(each) for each in operation.query]
    if parameters:
        found["parameters"] = parameters
    if operation.body is not None:
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": _content(type(operation.body), operation.body)},
        }
    return found | {"responses": _responses(operation)}


def operation_id(operation: Operation) -> str:
    """Return the method and the words of the path, like `get_routes_readiness`."""
    words = [part for part in operation.path.split("/") if part and part != "api"]
    names = [part.strip("{}").removesuffix(".json").replace("-", "_") for part in words]
    return "_".join([operation.method.lower(), *names])


def _path_parameter(name: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": PATH_PARAMETERS[name],
        "schema": {"type": "string"},
    }


def _parameter(parameter: Parameter) -> Json:
    schema: Json = {"type": parameter.type}
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.is_required,
        "description": parameter.meaning,
        "schema": {"type": "array", "items": schema} if parameter.is_repeatable else schema,
    }


def _responses(operation: Operation) -> Json:
    if isinstance(operation.response, str):
        content: Json = {operation.response: {"example": operation.example}}
        if operation.response == "application/json":
            content = {operation.response: {"schema": {"type": "object"}}}
    else:
        content = {"application/json": _content(operation.response, operation.example)}
    found: dict[str, Json] = {
        "200": {"description": "The outcome." if operation.body else "The document.", "content": content}
    }
    if operation.unready is not None:
        found["503"] = {"description": "Not ready.", "content": {"application/json": _content(operation.unready)}}
    for status, meaning in sorted(errors_of(operation).items()):
        found[str(status)] = {"description": meaning, "content": {_PROBLEM: _content(ProblemDocument)}}
    return found


def errors_of(operation: Operation) -> Mapping[int, str]:
    """Return all errors of an operation, by status, with those that all operations of its kind share."""
    if operation.is_open:
        return operation.errors
    common = {401: "The token is missing or wrong.", 403: "The request comes from a page of another site."}
    if operation.body is not None:
        common |= {413: "The body is too large.", 415: "The body is not sent as `application/json`."}
    return common | dict(operation.errors)


def _content(type_: type[msgspec.Struct], example: object = None) -> Json:
    found: Json = {"schema": {"$ref": _REFERENCE.format(name=type_.__name__)}}
    return found if example is None else {**found, "example": msgspec.to_builtins(example)}
