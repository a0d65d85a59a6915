"""The schema of HTTPRoute v1 and ReferenceGrant v1beta1, as the specification has them, for the fields that we write.

A field that is not here is an error. The rules at the end are those of the resource's validation in CEL.
"""

import re
from typing import Any, Final

import jsonschema

Manifest = dict[str, Any]
Shape = dict[str, Any]


def _closed(required: tuple[str, ...] = (), **properties: Shape) -> Shape:
    return {"type": "object", "properties": properties, "additionalProperties": False, "required": list(required)}


def _listed(item: Shape, most: int, least: int = 0) -> Shape:
    return {"type": "array", "items": item, "maxItems": most, "minItems": least}


def _text(longest: int, pattern: str = "") -> Shape:
    return {"type": "string", "minLength": 1, "maxLength": longest, "pattern": pattern}


_LABEL: Final = _text(63, "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
_NAME: Final = _text(253)
_HOST: Final = _text(253, r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
_FIELD: Final = _text(256, r"^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$")
_NUMBER: Final = {"type": "integer", "minimum": 0}
_PORT: Final = {"type": "integer", "minimum": 1, "maximum": 65535}
_DURATION: Final = {"type": "string", "pattern": "^([0-9]{1,5}(h|m|s|ms)){1,4}$"}
_EDIT: Final = _closed(("name", "value"), name=_FIELD, value=_text(4096))
_NEW_PATH: Final = _closed(
    ("type",),
    type={"enum": ["ReplaceFullPath", "ReplacePrefixMatch"]},
    replaceFullPath={"type": "string", "maxLength": 1024},
    replacePrefixMatch={"type": "string", "maxLength": 1024},
)
_SERVICE: Final = {"name": _NAME, "namespace": _LABEL, "port": _PORT}
_MIRROR: Final = _closed(
    ("backendRef",),
    backendRef=_closed(("name",), **_SERVICE),
    percent={"type": "integer", "minimum": 0, "maximum": 100},
    fraction=_closed(("numerator",), numerator=_NUMBER, denominator={"type": "integer", "minimum": 1}),
)
_FILTER: Final = _closed(
    ("type",),
    type={"enum": ["RequestHeaderModifier", "RequestMirror", "URLRewrite"]},
    requestMirror=_MIRROR,
    urlRewrite=_closed(hostname=_HOST, path=_NEW_PATH),
    requestHeaderModifier=_closed(set=_listed(_EDIT, 16), remove=_listed({"type": "string"}, 16)),
)
_PATH: Final = _closed(type={"enum": ["Exact", "PathPrefix", "RegularExpression"]}, value=_text(1024))
_METHOD: Final = {"enum": ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]}
_EXACT: Final = {"const": "Exact"}
_MATCH: Final = _closed(
    path=_PATH,
    method=_METHOD,
    headers=_listed(_closed(("name", "value"), type=_EXACT, name=_FIELD, value=_text(4096)), 16),
    queryParams=_listed(_closed(("name", "value"), type=_EXACT, name=_FIELD, value=_text(1024)), 16),
)
_RULE: Final = _closed(
    matches=_listed(_MATCH, 8, 1),
    backendRefs=_listed(
        _closed(
            ("name", "port"),
            **_SERVICE,
            weight={"type": "integer", "minimum": 0, "maximum": 1_000_000},
            filters=_listed(_FILTER, 16),
        ),
        16,
        1,
    ),
    filters=_listed(_FILTER, 16),
    timeouts=_closed(request=_DURATION, backendRequest=_DURATION),
)
_METADATA: Final = _closed(("name",), name=_text(253, "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"), namespace=_LABEL)
_HTTP_ROUTE: Final = _closed(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "gateway.networking.k8s.io/v1"},
    kind={"const": "HTTPRoute"},
    metadata=_METADATA,
    spec=_closed(
        ("rules",),
        parentRefs=_listed(_closed(("name",), name=_NAME, namespace=_LABEL, sectionName=_NAME), 32),
        hostnames=_listed(_HOST, 16),
        rules=_listed(_RULE, 16, 1),
    ),
)
_GRANT: Final = _closed(
    ("apiVersion", "kind", "metadata", "spec"),
    apiVersion={"const": "gateway.networking.k8s.io/v1beta1"},
    kind={"const": "ReferenceGrant"},
    metadata=_METADATA | {"required": ["name", "namespace"]},
    spec=_closed(
        ("from", "to"),
        **{
            "from": _listed(
                _closed(("group", "kind", "namespace"), group=_NAME, kind={"const": "HTTPRoute"}, namespace=_LABEL),
                16,
                1,
            ),
            "to": _listed(
                _closed(("group", "kind"), group={"const": ""}, kind={"const": "Service"}, name=_NAME), 16, 1
            ),
        },
    ),
)

_PATH_CHARACTERS: Final = re.compile(r"^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$")
_NOT_IN_PATHS: Final = ("//", "/./", "/../", "%2f", "%2F", "#")
_MOST_MATCHES: Final = 128


def check(manifest: Manifest) -> None:
    """Raise jsonschema.ValidationError or AssertionError unless a cluster would take a manifest."""
    if manifest["kind"] == "ReferenceGrant":
        jsonschema.validate(manifest, _GRANT)
        return
    jsonschema.validate(manifest, _HTTP_ROUTE)
    rules = manifest["spec"]["rules"]
    assert sum(len(rule["matches"]) for rule in rules) < _MOST_MATCHES
    for rule in rules:
        _check_rule(rule)


def _check_rule(rule: Manifest) -> None:
    filters = [rule.get("filters", []), *(each.get("filters", []) for each in rule["backendRefs"])]
    for match in rule["matches"]:
        _check_path(match["path"])
        for key in ("headers", "queryParams"):
            names = [each["name"].lower() for each in match.get(key, [])]
            assert len(names) == len(set(names))
    for group in filters:
        kinds = [each["type"] for each in group if each["type"] != "RequestMirror"]
        assert len(kinds) == len(set(kinds))
        for each in group:
            _check_filter(each, rule["matches"])


def _check_path(path: Manifest) -> None:
    if path["type"] == "RegularExpression":
        re.compile(path["value"])
        return
    assert path["value"].startswith("/")
    assert _PATH_CHARACTERS.match(path["value"])
    assert not any(part in path["value"] for part in _NOT_IN_PATHS)


def _check_filter(found: Manifest, matches: list[Manifest]) -> None:
    own = {
        "RequestMirror": "requestMirror",
        "URLRewrite": "urlRewrite",
        "RequestHeaderModifier": "requestHeaderModifier",
    }
    assert set(found) == {"type", own[found["type"]]}
    mirror, path = found.get("requestMirror", {}), found.get("urlRewrite", {}).get("path", {})
    assert not {"percent", "fraction"} <= set(mirror)
    if "replacePrefixMatch" in path:
        assert [match["path"]["type"] for match in matches] == ["PathPrefix"]
    if path:
        name = path["type"][0].lower() + path["type"][1:]
        assert set(path) == {"type", name}
