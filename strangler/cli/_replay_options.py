"""The options of `strangler replay`, checked all at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from strangler.cli._config import failed
from strangler.cli._replay_callers import read_callers
from strangler.cli._terminal import plain
from strangler.config.edit import unknown_route
from strangler.core.replaying.caller_order import Speed, SpeedError, parse_speed
from strangler.core.replaying.given import read_given
from strangler.core.routing.arm import LEGACY
from strangler.core.settings import Settings
from strangler.replay.destination import unknown_upstream
from strangler.replay.replay_settings import PROXY, Against, ReplaySettings, Writes


@dataclass(frozen=True, slots=True)
class GivenOptions:
    """The options as they were given; None where one was not."""

    to: str | None
    against: Against | None
    routes: tuple[str, ...]
    speed: str
    callers_at_once: int
    is_self: bool
    writes: Writes | None
    headers: tuple[str, ...]
    callers: Path | None
    fail_on: Literal["gate", "difference"] | None
    no_inbox: bool
    junit: Path | None


def checked(options: GivenOptions, config: Path, settings: Settings) -> ReplaySettings:
    """Return the settings of the replay. End the program with all that is wrong with the options."""
    problems = [*_problems_of_places(options, config, settings), *_problems_of_pairs(options)]
    speed = Speed()
    try:
        speed = parse_speed(options.speed)
    except SpeedError as error:
        problems.append(f"--{error}")
    document, place, unreadable = read_callers(options.callers)
    given, wrong = read_given(options.headers, document, place)
    problems += [*unreadable, *wrong]
    if problems:
        raise failed("\n".join(map(plain, problems)))
    return ReplaySettings(
        to=options.to,
        against=options.against or "recorded",
        routes=frozenset(options.routes),
        speed=speed,
        callers_at_once=options.callers_at_once,
        writes=options.writes,
        given=given,
        is_self=options.is_self,
    )


def _problems_of_places(options: GivenOptions, config: Path, settings: Settings) -> Iterator[str]:
    """Yield what is wrong with names of routes, upstreams and files."""
    names = [route.name for route in settings.routes]
    if not names:
        yield f"{config}: there are no routes, and a request is sent by the route that it matches; write one"
    else:
        yield from (f"--route: {unknown_route(name, names)}" for name in options.routes if name not in names)
    if options.to is not None and options.to != PROXY and options.to not in settings.upstreams:
        yield f"--to: {unknown_upstream(options.to, settings.upstreams)}"
    if options.junit is not None and not options.junit.absolute().parent.is_dir():
        yield f"--junit: there is no folder {options.junit.parent}; make it, or name another file"


def _problems_of_pairs(options: GivenOptions) -> Iterator[str]:
    """Yield what is wrong with options that go ill together."""
    if options.writes is not None:
        if options.is_self or options.to == LEGACY:
            where = "--self" if options.is_self else "--to legacy"
            yield f"--writes: legacy has run these writes already; leave it out: with {where}, no writes are sent"
        elif options.to == PROXY:
            yield "--writes: what the proxy gets is real, so that no writes are sent to it; leave it out"
    if options.to == LEGACY and options.against == LEGACY:
        yield "--to legacy --against legacy: that compares legacy with itself; write --self"
    if not options.is_self:
        return
    others = {"--to": options.to, "--against": options.against, "--fail-on": options.fail_on, "--junit": options.junit}
    for name in (name for name, value in others.items() if value is not None):
        yield f"{name}: --self compares legacy with itself, and judges no candidate; leave one of the two out"
