"""The schemas of Kubernetes and of the Prometheus operator, in which a field that does not exist is an error."""

import json
from pathlib import Path
from typing import Any, Final

import jsonschema
import kubernetes_validate

OLDEST: Final = "1.27"
NEWEST: Final = kubernetes_validate.latest_version()
_SERVICE_MONITOR: Final = json.loads(Path(__file__).with_name("service_monitor.json").read_text())


def check(document: dict[str, Any], version: str) -> None:
    """Raise jsonschema.ValidationError unless an object is one that this version of Kubernetes knows."""
    if document["apiVersion"] == "monitoring.coreos.com/v1" and document["kind"] == "ServiceMonitor":
        jsonschema.validate(document, _strict(_SERVICE_MONITOR))
    else:
        kubernetes_validate.validate(document, version, strict=True)


def _strict(schema: Any) -> Any:
    """Return a schema that allows only the properties it names, as a server with `--validate=strict` does."""
    if isinstance(schema, list):
        return [_strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _strict(each) for key, each in schema.items()}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        closed.setdefault("additionalProperties", False)
    return closed
