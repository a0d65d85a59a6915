"""The API about rollouts: where they stand, and the commands of people."""

from collections.abc import Callable
from typing import Protocol

from aiohttp import web

from strangler.control.responses import json_response, named, problem, read_body
from strangler.control.rollout.climbs import UnknownRolloutError
from strangler.control.rollout.fleet_keeper import FleetRolloutKeeper, NotFollowedError
from strangler.control.rollout.keeper import RolloutKeeper
from strangler.core.documents import RolloutRequest
from strangler.core.rollout.machine import COMMANDS, NoTransitionError
from strangler.store.store import StoreError


class Control(Protocol):
    """The parts of control that are needed here."""

    @property
    def rollouts(self) -> RolloutKeeper | FleetRolloutKeeper: ...


class RolloutApi:
    """The handlers of the API about rollouts. `of` returns the state of control behind a request."""

    def __init__(self, of: Callable[[web.Request], Control]) -> None:
        self._of = of

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/rollouts", self.all),
            web.get("/api/rollouts/{route}", self.single),
            web.post("/api/rollouts/{route}/{command}", self.command),
        ]

    async def all(self, request: web.Request) -> web.Response:
        """Return all rollouts."""
        return json_response(self._of(request).rollouts.document())

    async def single(self, request: web.Request) -> web.Response:
        """Return the rollout of a route."""
        try:
            return json_response(self._of(request).rollouts.find(request.match_info["route"]))
        except UnknownRolloutError as error:
            return problem(404, str(error))

    async def command(self, request: web.Request) -> web.Response:
        """Follow a command: `{"percent": 50, "who": "ana", "why": "looks fine"}`; all of it may be left out."""
        command = request.match_info["command"]
        if command not in COMMANDS:
            return problem(404, f"there is no command {command[:100]!r}; these are: {', '.join(COMMANDS)}")
        body = await read_body(request, RolloutRequest)
        if isinstance(body, web.Response):
            return body
        rollouts, actor = self._of(request).rollouts, named(request, body.who)
        try:
            return json_response(
                await rollouts.command(request.match_info["route"], command, actor, body.why, body.percent)
            )
        except UnknownRolloutError as error:
            return problem(404, str(error))
        except NoTransitionError as error:
            return problem(409, str(error))
        except NotFollowedError as error:
            return problem(503, str(error))
        except StoreError as error:
            return problem(507, f"the store cannot be written: {error}; the rollout stays as it is")
