"""The routes.yaml that the demo begins with: short, with comments, made to be edited."""

from dataclasses import dataclass

_TEMPLATE = """\
# The demo's routes. Edit and save: the proxy reads the file again, and a mistake changes nothing.
version: 1
listen: 127.0.0.1:{proxy}
admin: {{listen: 127.0.0.1:{admin}}}
state: {state}

upstreams:
  legacy: # the shop: takes all that no route sends elsewhere
    url: http://127.0.0.1:{legacy}
  rewrite: # the new service, for orders and products
    url: http://127.0.0.1:{candidate}

routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: rewrite
    release: {{header: X-Release}} # evidence belongs to a release of the candidate
    split:
      percent: 25 # 0: nobody, 100: everybody
      sticky: ["header:X-User-Id", "cookie:sid", client_ip] # a caller who has moved stays moved as it rises
      headers: {{X-Beta: "1"}} # these callers are served by the candidate at any percent
      override: X-Strangler-Arm # a request may name its arm: legacy or candidate
    shadow: # the other arm gets a copy of each request, and the responses are compared: see `strangler diffs`
      percent: 100
      baseline: 25% # a quarter is also sent to legacy again, to learn what differs anyway

  - name: products # pages with sessions and forms: compared, but so far served by legacy only
    match: {{prefix: /products}}
    candidate: rewrite
    release: {{header: X-Release}}
    split: {{percent: 0}}
    fold: ["/products/prices.csv", "/products/{{}}", "/products/{{}}/cart"]
    shadow: {{percent: 100, methods: [GET, POST], writes: dry_run, baseline: 25%}}

  - name: feed
    match: {{path: /feed.xml}}
    candidate: rewrite
    release: {{header: X-Release}}
    split: {{percent: 0}}
    shadow: {{percent: 100, baseline: 25%}}
"""


@dataclass(frozen=True, slots=True)
class Ports:
    legacy: int
    candidate: int
    proxy: int
    admin: int


def routes_yaml(ports: Ports, state: str) -> str:
    """Return the text of routes.yaml. `state`: the proxy's state folder."""
    return filled(_TEMPLATE, ports, state)


def filled(template: str, ports: Ports, state: str, **more: str) -> str:
    """Return a template of routes.yaml with its ports, its state folder, and `more`."""
    return template.format(
        proxy=ports.proxy,
        admin=ports.admin,
        legacy=ports.legacy,
        candidate=ports.candidate,
        state=state,
        **more,
    )
