"""The routes.yaml of the demo of a rollout, which says what is shorter here than it should be in earnest."""

from strangler.demo.routes import Ports, filled

STEPS = (5, 25, 50, 100)
LOOK_S = 2.0
BACK_HOLD_S = 5.0

_TEMPLATE = """\
# The demo's routes: orders climb by themselves. What is made short for a demo says so.
version: 1
listen: 127.0.0.1:{proxy}
admin: {{listen: 127.0.0.1:{admin}}}
state: {state}

upstreams:
  legacy: # the shop: takes all that no route sends elsewhere
    url: http://127.0.0.1:{legacy}
  rewrite: # the new service, for orders
    url: http://127.0.0.1:{candidate}
    breaker: {{consecutive: 5, failure_rate: 50%, cooldown: 5s}} # when it opens, the rollout is at 0 % at once

routes:
  - name: orders
    match: {{prefix: /api/orders}}
    candidate: rewrite
    split: {{sticky: ["header:X-User-Id", "cookie:sid", client_ip]}} # no percent: the rollout has it
    rollout:
      steps: [{steps}] # in earnest begin with 1: at 5 % one caller in twenty meets a fault first
      hold: {hold} # least time on a step; in earnest 30m, which is the default, or a day
      look: {look} # in earnest 1m, the default
      evidence: {{requests: 200, callers: 5}} # by default 500 and 20; of the shop's 200 users, 8 are in 5 %
      errors: {{ratio: 1.5, floor: 2%}} # in earnest 0.1%, the default, which takes some 4,000 requests to show, not 200
      latency: {{ratio: 3}} # by default 1.3; all processes of the demo share one machine, whose times jump
      gate: every # each step also needs the gate below, for the release that runs
      failed_looks: 3 # so many bad looks in a row
      then: step_back # lead one step down
      back: {{hold: {back_hold}}} # of `strangler rollout back orders`; by default 2m
    shadow: {{percent: 20, of: any}} # whichever arm served it, the other gets a copy: legacy stays warm
    gate: # by default 3000 pairs, 99.9%, 1.1 and 24h
      min_pairs: 200
      min_match: 98%
      max_latency_ratio: 10 # a shadow opens a connection of its own
      min_age: 0s
    compare:
      accept:
        - {{path: $.generated_at, why: the time of the response}}
"""


def rollout_routes_yaml(ports: Ports, state: str, hold_s: float) -> str:
    """Return the text of routes.yaml. `state`: the proxy's state folder."""
    return filled(
        _TEMPLATE,
        ports,
        state,
        steps=", ".join(map(str, STEPS)),
        hold=_duration(hold_s),
        look=_duration(min(LOOK_S, hold_s)),
        back_hold=_duration(BACK_HOLD_S),
    )


def _duration(seconds: float) -> str:
    return f"{round(seconds * 1000)}ms" if seconds % 1 else f"{int(seconds)}s"
