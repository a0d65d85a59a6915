"""The routes.yaml of the demo of a fleet: one file for all nodes, what is a node's own being variables."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

NAMES: Final = ("a", "b", "c")
_TEMPLATE = """\
# The demo's routes, one file for all nodes. What is a node's own is in its environment; without any, it is node {name}.
version: 1
listen: 127.0.0.1:${{LISTEN:-{listen}}}
admin: {{listen: "127.0.0.1:${{ADMIN:-{admin}}}"}}
state: ${{STATE:-{state}}} # each node has a folder of its own
node: ${{NODE:-{name}}}
store: {store} # what the nodes share

upstreams:
  legacy: # the shop: takes all that no route sends elsewhere
    url: http://127.0.0.1:{legacy}
  rewrite: # the new service, for orders
    url: http://127.0.0.1:{candidate}

routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: rewrite
    release: {{header: X-Release}}
    split: {{percent: 25, sticky: ["header:X-User-Id", client_ip]}} # a caller is at the same arm on every node
    shadow: {{percent: 100}} # legacy's requests also go to the candidate, and the responses are compared
"""


@dataclass(frozen=True, slots=True)
class NodePlace:
    """The name of a node, its ports, and its state folder."""

    name: str
    listen: int
    admin: int
    state: Path

    @property
    def proxy_url(self) -> str:
        return f"http://127.0.0.1:{self.listen}"

    @property
    def admin_url(self) -> str:
        return f"http://127.0.0.1:{self.admin}"

    def environ(self, secret: str) -> dict[str, str]:
        """Return what its process has in its environment. `secret`: seals what is secret in the store."""
        return {
            "NODE": self.name,
            "LISTEN": str(self.listen),
            "ADMIN": str(self.admin),
            "STATE": str(self.state),
            "STRANGLER_STORE_SECRET": secret,
        }


def fleet_routes_yaml(first: NodePlace, store: str, legacy: int, candidate: int) -> str:
    """Return the text of routes.yaml. `first`: the node that it is of without an environment."""
    return _TEMPLATE.format(
        name=first.name,
        listen=first.listen,
        admin=first.admin,
        state=first.state,
        store=store,
        legacy=legacy,
        candidate=candidate,
    )
