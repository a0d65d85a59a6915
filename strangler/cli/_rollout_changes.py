"""The changes of rollouts by a new routes.yaml, for `strangler plan`: which go on, begin, end or pause."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass

from strangler.config.quantities import duration_text, share_text
from strangler.core.rollout_percents import rollout_groups
from strangler.core.rollout_settings import RolloutSettings
from strangler.core.rollout_text import routes_text
from strangler.core.settings import RouteSettings, Settings

Groups = Mapping[str, tuple[RouteSettings, ...]]


def rollout_notes(before: Settings | None, after: Settings) -> list[str]:
    """Return a sentence for each group that has a rollout in one of two files, with percents as they are in force."""
    old: Groups = {} if before is None else rollout_groups(before)
    new = rollout_groups(after)
    ended = [_ended(group, old[group], after) for group in old if group not in new]
    return [_of_group(group, old.get(group, ()), routes) for group, routes in new.items()] + ended


def _about(group: str, routes: tuple[RouteSettings, ...]) -> str:
    text = routes_text([route.name for route in routes])
    return text if len(routes) == 1 else f"{text} of group '{group}'"


def _of_group(group: str, before: tuple[RouteSettings, ...], after: tuple[RouteSettings, ...]) -> str:
    first, percent = after[0], f"{after[0].split.percent:g} %"
    plan = first.rollout
    assert plan is not None
    about = _about(group, after)
    if not before:
        steps = ", ".join(f"{step:g}" for step in plan.steps)
        start = f"`strangler rollout start {first.name}`"
        return f"{about}: a rollout of {steps} % begins at {percent}, and waits for {start}"
    former = before[0].rollout
    assert former is not None
    if former == plan:
        return f"{about}: the rollout goes on from {percent}"
    changes = "; ".join(_changes(former, plan))
    kept = not first.split.percent or first.split.percent in plan.steps
    then = f"goes on from {percent}" if kept else f"pauses, because {percent} is none of its steps any more"
    return f"{about}: the rollout {then}; {changes}"


def _ended(group: str, before: tuple[RouteSettings, ...], after: Settings) -> str:
    by_name = {route.name: route for route in after.routes}
    left = [by_name[route.name] for route in before if route.name in by_name]
    percents = ", ".join(dict.fromkeys(f"{route.split.percent:g} %" for route in left))
    then = f"split.percent counts: {percents}" if left else "the route is gone"
    return f"{_about(group, before)}: the rollout ends at {before[0].split.percent:g} %, and {then}"


def _changes(before: RolloutSettings, after: RolloutSettings) -> Iterator[str]:
    """Yield what differs between two plans, by key."""
    for field in fields(RolloutSettings):
        first, second = getattr(before, field.name), getattr(after, field.name)
        if first != second:
            yield f"{_KEYS.get(field.name, field.name)}: {_text(field.name, first)} to {_text(field.name, second)}"


_KEYS = {"hold_s": "hold", "look_s": "look", "back_hold_s": "back.hold"}


def _text(name: str, value: object) -> str:
    if name.endswith("_s") and isinstance(value, float):
        return duration_text(value)
    if isinstance(value, tuple):
        return f"[{', '.join(f'{each:g}' for each in value)}]"
    if name == "floor" and isinstance(value, float):
        return share_text(value)
    if is_dataclass(value):
        inner = (f"{each.name} {_text(each.name, getattr(value, each.name))}" for each in fields(value))
        return f"{{{', '.join(inner)}}}"
    return f"{value:g}" if isinstance(value, float) else "null" if value is None else str(value)
