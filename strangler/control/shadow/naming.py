"""The present names of endpoints: by the routes in force, and the tree of the ledger as it is now."""

from collections.abc import Callable
from typing import Final, NamedTuple

from strangler.control.shadow.route_table import ShadowRouteTable
from strangler.core.compare import EndpointNames, Redactor
from strangler.core.compare.model.endpoint_names import TemplateTree
from strangler.core.compare.model.templates import route_templates
from strangler.core.settings import RouteSettings, Settings

TreeSource = Callable[[], TemplateTree | None]
"""Returns the tree of the ledger; None if there is no ledger, or it was not read yet."""

_MAX_REMEMBERED: Final = 20_000


def no_tree() -> None:
    """Return no tree: there is no ledger."""


class Edition(NamedTuple):
    """All that names depend on."""

    settings: Settings
    tree: TemplateTree | None
    revision: int

    def is_same(self, other: "Edition | None") -> bool:
        """Return whether all names are the same."""
        if other is None:
            return False
        return self.settings is other.settings and self.tree is other.tree and self.revision == other.revision


class EndpointNaming:
    """Names endpoints that have a name already. Used by the event loop only, which the tree belongs to."""

    def __init__(self, table: ShadowRouteTable, tree: TreeSource) -> None:
        self._table = table
        self._tree = tree
        self._edition: Edition | None = None
        self._by_route: dict[str, EndpointNames] = {}
        self._remembered: dict[tuple[str, str], str] = {}

    @property
    def edition(self) -> Edition:
        tree = self._tree()
        return Edition(self._table.settings, tree, 0 if tree is None else tree.revision)

    def is_known(self, route: str) -> bool:
        """Return whether there is such a route. The evidence of others keeps its names."""
        return route in self._follow()

    def present(self, route: str, endpoint: str) -> str:
        """Return the present name of an endpoint, `GET /api/orders/{}`."""
        names = self._follow()
        key = route, endpoint
        found = self._remembered.get(key)
        if found is None:
            found = endpoint if route not in names else _within(endpoint, names[route].now)
            if len(self._remembered) < _MAX_REMEMBERED:
                self._remembered[key] = found
        return found

    def from_earlier(self, route: str, endpoint: str) -> str:
        """Return the present name of an endpoint that an earlier version has named."""
        names = self._follow()
        return endpoint if route not in names else _within(endpoint, names[route].from_earlier)

    def _follow(self) -> dict[str, EndpointNames]:
        edition = self.edition
        if not edition.is_same(self._edition):
            self._edition = edition
            self._remembered.clear()
            self._by_route = {route.name: self._names(route, edition.tree) for route in edition.settings.routes}
        return self._by_route

    def _names(self, route: RouteSettings, tree: TemplateTree | None) -> EndpointNames:
        known = self._table.routes.get(route.name)
        if known is not None and known.settings is route:
            return known.names(tree)
        redactor = Redactor.of(self._table.key or b"", route.compare.redact)
        return EndpointNames(route_templates(route.match.prefix, route.match.path, route.fold), tree, redactor.shape)


def _within(endpoint: str, name: Callable[[str], str]) -> str:
    method, _, path = endpoint.partition(" ")
    return f"{method} {name(path)}"
