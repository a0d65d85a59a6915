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
    """The document as JSON; it is made once."""
    return msgspec.json.encode(openapi()) + b"\n"


def openapi() -> Json:
    """The document."""
    paths: dict[str, dict[str, Json]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
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
    """The JSON Schemas of all documents, by name."""
    types = {type_ for one in OPERATIONS for type_ in _types(one)} | {ProblemDocument}
    _, found = msgspec.json.schema_components(sorted(types, key=lambda one: one.__name__), ref_template=_REFERENCE)
    return dict(sorted(found.items()))


def _types(one: Operation) -> list[type[msgspec.Struct]]:
    found = [] if isinstance(one.response, str) else [one.response]
    return found if one.body is None else [*found, type(one.body)]


def _operation(one: Operation) -> Json:
    found: dict[str, Any] = {"summary": one.summary, "operationId": operation_id(one)}
    if one.is_open:
        found["security"] = []
    parameters = [_path_parameter(name) for name in one.names] + [_parameter(each) for each in one.query]
    if parameters:
        found["parameters"] = parameters
    if one.body is not None:
        found["requestBody"] = {"required": True, "content": {"application/json": _content(type(one.body), one.body)}}
    return found | {"responses": _responses(one)}


def operation_id(one: Operation) -> str:
    """`get_routes_readiness`: the method, and the words of the path."""
    words = [part for part in one.path.split("/") if part and part != "api"]
    names = [part.strip("{}").removesuffix(".json").replace("-", "_") for part in words]
    return "_".join([one.method.lower(), *names])


def _path_parameter(name: str) -> Json:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": PATH_PARAMETERS[name],
        "schema": {"type": "string"},
    }


def _parameter(one: Parameter) -> Json:
    schema: Json = {"type": one.type}
    return {
        "name": one.name,
        "in": "query",
        "required": one.is_required,
        "description": one.meaning,
        "schema": {"type": "array", "items": schema} if one.is_repeatable else schema,
    }


def _responses(one: Operation) -> Json:
    if isinstance(one.response, str):
        content: Json = {one.response: {"example": one.example}}
        if one.response == "application/json":
            content = {one.response: {"schema": {"type": "object"}}}
    else:
        content = {"application/json": _content(one.response, one.example)}
    found: dict[str, Json] = {"200": {"description": "It is done." if one.body else "The answer.", "content": content}}
    if one.unready is not None:
        found["503"] = {"description": "It is not ready.", "content": {"application/json": _content(one.unready)}}
    for status, meaning in sorted(errors_of(one).items()):
        found[str(status)] = {"description": meaning, "content": {_PROBLEM: _content(ProblemDocument)}}
    return found


def errors_of(one: Operation) -> Mapping[int, str]:
    """All refusals of an operation, by status, with those that any operation of its kind may have."""
    if one.is_open:
        return one.errors
    common = {401: "The token is missing or another.", 403: "The request comes from a page of another site."}
    if one.body is not None:
        common |= {413: "The body is too large.", 415: "The body is not sent as `application/json`."}
    return common | dict(one.errors)


def _content(type_: type[msgspec.Struct], example: object = None) -> Json:
    found: Json = {"schema": {"$ref": _REFERENCE.format(name=type_.__name__)}}
    return found if example is None else {**found, "example": msgspec.to_builtins(example)}
