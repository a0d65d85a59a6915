"""Checks of the shadows of a route, and of the gate that judges them."""

from posixpath import normpath

from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.config.rules_context import RouteContext
from strangler.config.scalars import SAFE_METHODS
from strangler.config.schema_routes import Route
from strangler.config.schema_upstreams import Upstream
from strangler.config.urls import is_loopback
from strangler.core.listener_settings import Address
from strangler.core.routing.arm import LEGACY
from strangler.core.settings import Url
from strangler.core.source import REPLAY, SOURCES


def check_shadow(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """A shadow never runs a write twice."""
    shadow = route.shadow
    if shadow is None:
        return
    here = (*loc, "shadow")
    unsafe = [method for method in shadow.methods if method not in SAFE_METHODS]
    if unsafe and shadow.writes == "skip" and not notes.is_lost((*here, "writes")):
        way_out = "a shadow would run the write twice; take them out, or set shadow.writes to dry_run or sandbox"
        notes.error((*here, "methods"), f"shadow.methods has {', '.join(unsafe)}", way_out)
    if unsafe and shadow.writes != "skip" and shadow.of != "legacy":
        notes.warning(
            (*here, "of"),
            f"shadow.of is {shadow.of} and shadow.methods has {', '.join(unsafe)}",
            "only writes that legacy served get a shadow: legacy must not run one twice",
        )
    if shadow.writes == "sandbox" and not notes.is_written((*here, "to")):
        notes.error(
            (*here, "writes"),
            "shadow.writes is 'sandbox' and shadow.to is missing",
            "add `to: UPSTREAM`, a copy whose data may change",
        )
    if shadow.to is not None:
        _check_sandbox(route, shadow.to, shadow.writes, (*here, "to"), notes, context)


def _check_sandbox(route: Route, to: str, writes: str, loc: Loc, notes: Notes, context: RouteContext) -> None:
    if writes != "sandbox":
        notes.error(
            loc,
            f"shadow.to has no meaning with shadow.writes '{writes}'",
            "write `writes: sandbox`, or take it out",
            key=True,
        )
    if to == LEGACY or _is_at_legacy(to, context):
        notes.value(loc, "legacy would run every write twice; name a copy whose data may change")
    else:
        context.check_upstream(to, loc, notes)
    if to == route.candidate:
        notes.value(
            loc, "that is the candidate itself, so shadows will write to its data; a sandbox is a copy", "warning"
        )


def _is_at_legacy(name: str, context: RouteContext) -> bool:
    """Return whether an upstream has a URL of legacy, as far as spelling tells: all loopback addresses are one."""
    upstreams = context.file.upstreams.by_name
    if name not in upstreams or LEGACY not in upstreams:
        return False
    return not _places(upstreams[name]).isdisjoint(_places(upstreams[LEGACY]))


def _places(upstream: Upstream) -> set[tuple[str, int, str]]:
    urls = (*upstream.urls, *([] if upstream.url is None else [upstream.url]))
    return {_place(url) for url in urls}


def _place(url: Url) -> tuple[str, int, str]:
    path = url.path.rstrip("/")
    if url.unix_path is not None:
        return normpath(url.unix_path), 0, path
    where = Address(url.server_name.lower(), url.port)
    return ("localhost" if is_loopback(where) else where.host), url.port, path


def check_latency(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """Both arms are timed only by a baseline, which sends them the same request at the same time."""
    if route.rollout is not None:  # whose looks may compare times: `rules_rollout`
        return
    if route.shadow is None or not notes.is_written((*loc, "gate", "max_latency_ratio")):
        return
    if not route.shadow.baseline.share:
        notes.warning(
            (*loc, "gate", "max_latency_ratio"),
            "gate.max_latency_ratio is set and shadow.baseline is 0",
            "only a baseline times both arms, so the verdict leaves it out; set baseline, or take it out",
        )


def check_sources(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """A gate counts at least one source of evidence, and each once."""
    here, sources = (*loc, "gate", "from"), route.gate.from_
    if notes.has_lost(here):
        return
    if not sources:
        notes.error(here, f"{notes.key(here)} is empty", f"the gate would never hold; write {' or '.join(SOURCES)}")
    for source in SOURCES:
        if sources.count(source) > 1:
            notes.error(here, f"{notes.key(here)} has '{source}' twice", "take one out")


def check_gate(route: Route, loc: Loc, notes: Notes, context: RouteContext) -> None:
    """A gate needs compared pairs, and so a shadow, or replays that count."""
    if route.rollout is not None or REPLAY in route.gate.from_:  # `rules_rollout`
        return
    has_shadow = context.file.receiver is not None or (route.shadow is not None and route.shadow.percent > 0)
    if has_shadow or not notes.is_written((*loc, "gate")) or notes.has_lost((*loc, "shadow")):
        return
    notes.warning(
        (*loc, "gate"),
        "gate is set and nothing is compared",
        "the route never becomes ready, so no shift passes without --force; add `shadow: {percent: 5}`",
        key=True,
    )
