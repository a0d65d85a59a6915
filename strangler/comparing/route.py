"""One route as comparisons use it: its compiled rules, and how its candidate's response reads to a client."""

from dataclasses import dataclass
from typing import Literal, Self

from strangler.comparing.arm_request import path_of
from strangler.core.compare import CompareRules, EndpointNames, Redactor, compile_rules
from strangler.core.compare.accept_rules.rules import EndpointRules
from strangler.core.compare.model.endpoint_names import TemplateTree
from strangler.core.compare.model.templates import Template, route_templates
from strangler.core.http.cookies import public_cookie
from strangler.core.routing.aggregate import Part
from strangler.core.routing.rewrite import Rewrite, cookie_path_back, rewrite_back
from strangler.core.routing.route import Route
from strangler.core.settings import RouteSettings, Url
from strangler.http1.parse import host_of
from strangler.ipc.messages import Captured


@dataclass(slots=True)
class ComparedRoute:
    """The parts of a route's settings that a comparison needs, made once."""

    settings: RouteSettings
    candidate: str
    """The upstream, or `aggregate` if there are `parts`."""
    parts: tuple[Part, ...]
    rules: CompareRules
    endpoint_rules: EndpointRules
    redactor: Redactor
    rewrite: Rewrite | None
    templates: tuple[Template, ...]
    """The templates that name its endpoints."""
    last_names: EndpointNames | None = None
    """The names by the tree that was given last."""

    @classmethod
    def of(cls, settings: RouteSettings, key: bytes, values: Literal["shown", "hashed"] = "shown") -> Self:
        """Return the route. `key`: of redaction; `values`: `evidence.values` of routes.yaml."""
        route, rules = Route(settings, 0), compile_rules(settings.compare)
        return cls(
            settings=settings,
            candidate=route.upstream,
            parts=route.parts,
            rules=rules,
            endpoint_rules=EndpointRules(rules),
            redactor=Redactor.of(key, settings.compare.redact, values),
            rewrite=route.rewrite,
            templates=route_templates(settings.match.prefix, settings.match.path, settings.fold),
        )

    @property
    def name(self) -> str:
        return self.settings.name

    def names(self, tree: TemplateTree | None) -> EndpointNames:
        """Return the names of the route's endpoints. `tree`: that of the ledger, if there is one."""
        if self.last_names is None or self.last_names.tree is not tree:
            self.last_names = EndpointNames(self.templates, tree, self.redactor.shape)
        return self.last_names

    def public_location(self, location: bytes, captured: Captured, url: Url | None) -> bytes:
        """Return a Location of the candidate as its client gets it: rewritten back only if paths are rewritten."""
        base = url.path.encode() if url is not None else b""
        if url is None or (self.rewrite is None and not base.rstrip(b"/")):
            return location
        return rewrite_back(
            location, self.rewrite, path_of(captured.target), base, url.authority.encode(), captured.host
        )

    def public_cookie(self, cookie: bytes, captured: Captured, url: Url | None) -> bytes:
        """Return a Set-Cookie of the candidate as its client gets it."""
        base = url.path.encode() if url is not None else b""
        if url is None or (self.rewrite is None and not base.rstrip(b"/")):
            return cookie
        path = path_of(captured.target)
        host = host_of(captured.host) or b""
        return public_cookie(
            cookie, lambda own: cookie_path_back(own, self.rewrite, path, base), url.server_name.encode(), host
        )
