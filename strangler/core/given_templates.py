"""The templates of paths that the operator gives in routes.yaml, by which the ledger names endpoints."""

from collections.abc import Iterable
from dataclasses import dataclass

from strangler.core.settings import RouteSettings


@dataclass(frozen=True, slots=True)
class GivenTemplates:
    """Whole templates (exact matches and `fold`), and the prefixes of the other routes without their final slash."""

    whole: list[str]
    prefixes: list[str]


def given_templates(routes: Iterable[RouteSettings]) -> GivenTemplates:
    """Return what the matches of routes, and their `fold`, say of paths."""
    listed = list(routes)
    exact = [route.match.path for route in listed if route.match.path is not None]
    prefixes = [(route.match.prefix or "").rstrip("/") for route in listed if route.match.path is None]
    folds = [template for route in listed for template in route.fold]
    return GivenTemplates([*exact, *folds], [prefix for prefix in prefixes if prefix])
