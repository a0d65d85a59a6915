"""The demo of a split: a shop whose orders are served by two arms, and a line every few seconds."""

import asyncio
from time import monotonic

from strangler.demo.routes import routes_yaml
from strangler.demo.stage import DemoOptions, Play, Say, Stage, filled_guide
from strangler.demo.tally import HEADER, TallyState

_LINE_EVERY_S = 3.0

_GUIDE = """\
Running: a shop (legacy), its new service (candidate) for orders and products, the proxy, and {visitors} visitors.

  the shop, through the proxy  {proxy}/
  dashboard                    {admin}/
  routes                       {routes}
  the proxy's log              {log}

Try in another terminal:
  {strangler} shift orders 50 -c {routes}
  {strangler} explain GET /api/orders/7 -H 'X-User-Id: 3' -c {routes}
  {strangler} status -c {routes}
  {strangler} diffs -c {routes}
  curl -i -H 'X-User-Id: 3' {proxy}/api/orders/7
or edit the routes and save. Ctrl-C stops everything{and_removes}.
"""


def shop_play(options: DemoOptions) -> Play:
    """Return the demo that runs without further options."""

    def guide(stage: Stage) -> str:
        return filled_guide(_GUIDE, stage, options)

    return Play(routes_yaml, guide, _report)


async def _report(_: Stage, tally: TallyState, say: Say) -> None:
    say(HEADER)
    begun = monotonic()
    while True:
        await asyncio.sleep(_LINE_EVERY_S)
        say(tally.take().line(monotonic() - begun))
