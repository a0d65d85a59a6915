"""ReferenceGrants: without one an HTTPRoute may not lead to a Service of another namespace."""

from collections.abc import Iterable
from typing import Any

from strangler.gateway_api.services import Service


def foreign_namespaces(services: Iterable[Service], namespace: str | None) -> list[str]:
    """Return the namespaces of Services other than that of the HTTPRoutes (None: it is not known)."""
    return sorted({each.namespace for each in services if each.namespace not in (None, namespace)} - {None}, key=str)


def reference_grants(services: Iterable[Service], namespace: str, name: str) -> list[dict[str, Any]]:
    """Return the grants for HTTPRoutes of a namespace, one in each other namespace that they lead to."""
    by_namespace: dict[str, set[str]] = {}
    for service in services:
        if service.namespace not in (None, namespace):
            by_namespace.setdefault(service.namespace or "", set()).add(service.name)
    return [
        {
            "apiVersion": "gateway.networking.k8s.io/v1beta1",
            "kind": "ReferenceGrant",
            "metadata": {"name": name, "namespace": foreign},
            "spec": {
                "from": [{"group": "gateway.networking.k8s.io", "kind": "HTTPRoute", "namespace": namespace}],
                "to": [{"group": "", "kind": "Service", "name": each} for each in sorted(names)],
            },
        }
        for foreign, names in sorted(by_namespace.items())
    ]
