"""The schemas of Kubernetes, in which a field that does not exist is an error, and of what we use of ServiceMonitor."""

from typing import Any, Final

import jsonschema
import kubernetes_validate

OLDEST: Final = "1.27"
NEWEST: Final = kubernetes_validate.latest_version()


def _closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


_TEXT: Final = {"type": "string"}
_SECONDS: Final = {"type": "string", "pattern": "^[0-9]+(ms|s|m|h)$"}
_SECRET_KEY: Final = _closed(name=_TEXT, key=_TEXT) | {"required": ["name", "key"]}
_ENDPOINT: Final = _closed(
    port=_TEXT,
    path=_TEXT,
    scheme={"enum": ["http", "https"]},
    interval=_SECONDS,
    scrapeTimeout=_SECONDS,
    authorization=_closed(type=_TEXT, credentials=_SECRET_KEY),
    tlsConfig=_closed(ca=_closed(secret=_SECRET_KEY), serverName=_TEXT, insecureSkipVerify={"type": "boolean"}),
)
_SERVICE_MONITOR: Final = _closed(
    apiVersion={"const": "monitoring.coreos.com/v1"},
    kind={"const": "ServiceMonitor"},
    metadata={"type": "object", "required": ["name"]},
    spec=_closed(
        selector=_closed(matchLabels={"type": "object", "additionalProperties": _TEXT}),
        endpoints={"type": "array", "items": _ENDPOINT, "minItems": 1},
    )
    | {"required": ["selector", "endpoints"]},
) | {"required": ["metadata", "spec"]}
"""The fields that the chart writes, as the operator's reference of `monitoring.coreos.com/v1` has them."""


def check(document: dict[str, Any], version: str) -> None:
    """Raise jsonschema.ValidationError unless an object is one that this version of Kubernetes knows."""
    if document["apiVersion"] == "monitoring.coreos.com/v1" and document["kind"] == "ServiceMonitor":
        jsonschema.validate(document, _SERVICE_MONITOR)
    else:
        kubernetes_validate.validate(document, version, strict=True)
