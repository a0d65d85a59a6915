"""The HTTPRoutes of a configuration: rules in the order in which they count, as many in each as it may have."""

from dataclasses import dataclass
from typing import Any, Final

from strangler.core.settings import RouteSettings, Settings
from strangler.gateway_api.route_rules import Rule, Target, can_match, legacy_service, path_of, rules_of

MOST_RULES: Final = 16


@dataclass(frozen=True, slots=True)
class Gateway:
    """The Gateway that HTTPRoutes belong to: its name, namespace and listener (None: those of the HTTPRoute, all)."""

    name: str
    namespace: str | None = None
    section: str | None = None

    def reference(self) -> dict[str, str]:
        """Return the fields of a reference to it."""
        found = {"name": self.name, "namespace": self.namespace, "sectionName": self.section}
        return {key: value for key, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Options:
    """The facts that routes.yaml does not have: the Gateway, and namespace and names of the HTTPRoutes."""

    gateway: Gateway | None = None
    namespace: str | None = None
    name: str = "strangler"


def http_routes(settings: Settings, target: Target, options: Options) -> list[dict[str, Any]]:
    """Return the HTTPRoutes, those of each host together. What no rule takes goes to legacy."""
    by_host: dict[str, list[RouteSettings]] = {}
    for route in settings.routes:
        if is_exported(route):
            by_host.setdefault(route.match.host or "", []).append(route)
    by_host.setdefault("", [])
    documents: list[dict[str, Any]] = []
    for host in sorted(by_host, key=_host_order):
        rules = [rule for route in sorted(by_host[host], key=_precedence) for rule in rules_of(settings, route, target)]
        if not host:
            everything = [{"path": {"type": "PathPrefix", "value": "/"}}]
            rules.append({"matches": everything, "backendRefs": [legacy_service(settings, target)]})
        documents += _documents(host, rules, options, first=len(documents) + 1)
    return documents


def is_exported(route: RouteSettings) -> bool:
    """Return whether a route has rules. The others are legacy's, which no rule has to say."""
    return route.candidate is not None and can_match(route.match)


def _host_order(host: str) -> tuple[bool, bool, str]:
    return not host, host.startswith("*."), host


def _precedence(route: RouteSettings) -> tuple[Any, ...]:
    """Return the key that sorts routes as Gateway API itself ranks them: of equal ones the first counts, and between
    several HTTPRoutes that of the first name."""
    match = route.match
    length = len(path_of(match)["value"])
    return match.path is None, -length, not match.methods, -len(match.headers), -len(match.query)


def _documents(host: str, rules: list[Rule], options: Options, first: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for start in range(0, len(rules), MOST_RULES):
        metadata = {"name": f"{options.name}-{first + len(made):04d}"}
        if options.namespace is not None:
            metadata["namespace"] = options.namespace
        spec: dict[str, Any] = {}
        if options.gateway is not None:
            spec["parentRefs"] = [options.gateway.reference()]
        if host:
            spec["hostnames"] = [host]
        spec["rules"] = rules[start : start + MOST_RULES]
        kind = {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute"}
        made.append({**kind, "metadata": metadata, "spec": spec})
    return made
