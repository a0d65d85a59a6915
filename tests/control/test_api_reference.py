"""The reference of the API: fresh, whole, and right by the specification of OpenAPI."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp.test_utils import TestClient, TestServer
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from strangler.control.admin import application
from strangler.control.api_reference.openapi import openapi, openapi_text, operation_id
from strangler.control.api_reference.operations import OPERATIONS, Operation
from strangler.control.api_reference.page import filled
from tests.control.control import control_of

ROUTES = """\
version: 1
admin: {listen: 127.0.0.1:0, token: "${TOKEN:-}"}
state: state
upstreams: {legacy: {url: "http://127.0.0.1:1"}}
"""
_DOCS = Path(__file__).parents[2] / "docs"


def named(operation: Operation) -> str:
    return f"{operation.method} {operation.path}"


def test_the_docs_are_fresh() -> None:
    """If this fails: `python -m strangler.control.api_reference docs`."""
    page = (_DOCS / "api.md").read_text()
    assert filled(page) == page


def test_it_is_openapi() -> None:
    validate(json.loads(openapi_text()))


def test_every_operation_has_a_name_of_its_own() -> None:
    assert len({operation_id(operation) for operation in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize("this_operation", OPERATIONS, ids=named)
def test_each_example_fits_its_schema(this_operation: Operation) -> None:
    document: Any = json.loads(json.dumps(openapi()))
    operation = document["paths"][this_operation.path][this_operation.method.lower()]
    contents = [operation["responses"]["200"]["content"], operation.get("requestBody", {}).get("content", {})]
    for content in contents:
        visible = content.get("application/json", {})
        if "example" in visible:
            schema = {**visible["schema"], "components": document["components"]}
            Draft202012Validator(schema).validate(visible["example"])
    if isinstance(this_operation.example, msgspec.Struct):
        assert type(this_operation.example) is this_operation.response


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
def test_a_call_names_its_path_and_parameters_that_there_are(operation: Operation) -> None:
    path, _, query = operation.call.partition("?")
    steps, template = path.split("/"), operation.path.split("/")
    if path:
        assert len(steps) == len(template)
        assert all(step == word or word.startswith("{") for step, word in zip(steps, template, strict=True))
    assert {pair.partition("=")[0] for pair in query.split("&") if pair} <= {each.name for each in operation.query}


async def test_it_has_every_operation_of_the_listener(tmp_path: Path) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    async with control_of(tmp_path, {}) as state:
        served = {
            (route.method, route.resource.canonical)
            for route in application(state).router.routes()
            if route.resource is not None and not (route.name or "").startswith("page:") and route.method != "HEAD"
        }
    assert served == {(operation.method, operation.path) for operation in OPERATIONS}


@pytest.mark.parametrize(("token", "headers", "status"), [
    pytest.param("", {}, 200, id="no token is set"),
    pytest.param("s3cret", {}, 401, id="without the token"),
    pytest.param("s3cret", {"Authorization": "Bearer s3cret"}, 200, id="with the token"),
    pytest.param("", {"Host": "evil.example"}, 403, id="by a foreign name"),
])  # fmt: skip
async def test_it_is_guarded_like_its_siblings(
    tmp_path: Path, token: str, headers: dict[str, str], status: int
) -> None:
    (tmp_path / "routes.yaml").write_text(ROUTES)
    async with (
        control_of(tmp_path, {"TOKEN": token}) as state,
        TestClient(TestServer(application(state), host="127.0.0.1")) as client,
    ):
        response = await client.get("/api/openapi.json", headers=headers)
        assert response.status == status
        if status == 200:
            assert (await response.json())["openapi"] == "3.1.0"
