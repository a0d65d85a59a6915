"""The metrics that are exposed: those of what routes.yaml names, or named a short time ago.

The counter of a removed route is useless, and Prometheus would keep a series for it as long as the proxy lives. The
total itself is kept: if the route comes back, its counters continue.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from strangler.control.totals import Key
from strangler.core.routing.arm import AGGREGATE
from strangler.core.settings import Settings
from strangler.ipc.metrics import FAMILIES

LINGER_S = 300.0
"""How long counters of removed names are still exposed, so that their last values are scraped."""

_NAMING = ("route", "upstream", "endpoint")
_PLACES = {
    name: [(place, label) for place, label in enumerate(family.labels) if label in _NAMING]
    for name, family in FAMILIES.items()
}
"""By family: the places and names of labels that name something of routes.yaml."""

_V = TypeVar("_V")
_Name = tuple[str, str]  # label and value


@dataclass(slots=True)
class VisibleMetrics:
    """The metrics to expose: of what routes.yaml names now, or named a short time ago. Times are monotonic."""

    _named: frozenset[_Name] = frozenset()
    _left: dict[_Name, float] = field(default_factory=dict)

    def adopt(self, settings: Settings, now: float) -> None:
        """Expose what these settings name from now on."""
        named = _named(settings)
        for name in self._named - named:
            self._left[name] = now
        self._left = {name: at for name, at in self._left.items() if name not in named and now - at < LINGER_S}
        self._named = named

    def visible(self, values: Mapping[Key, _V], now: float) -> dict[Key, _V]:
        """Return the metrics that are exposed."""
        return {key: value for key, value in values.items() if self._is_visible(key, now)}

    def _is_visible(self, key: Key, now: float) -> bool:
        family, labels = key
        linger_s = 0.0 if FAMILIES[family].kind == "gauge" else LINGER_S  # a gauge is about now
        for place, label in _PLACES[family]:
            name = (label, labels[place])
            left = self._left.get(name)
            if name not in self._named and (left is None or now - left >= linger_s):
                return False
        return True


def _named(settings: Settings) -> frozenset[_Name]:
    routes = [("route", route.name) for route in settings.routes]
    upstreams = [("upstream", name) for name in settings.upstreams]
    endpoints = [("endpoint", str(url)) for upstream in settings.upstreams.values() for url in upstream.urls]
    always = [
        ("route", ""),
        ("upstream", ""),
        ("upstream", AGGREGATE),
    ]  # no route matched; no upstream was asked; several were
    return frozenset([*routes, *upstreams, *endpoints, *always])
