"""The end of a route, as the status has it."""

from strangler.core.documents import BrownoutStatus, RetireStatus
from strangler.core.retire_settings import RetireSettings, utc_stamp
from strangler.core.settings import RouteSettings


def retire_status(route: RouteSettings, refused: int, *, is_killed: bool, now: float) -> RetireStatus | None:
    """Return how a route ends; None if it stays. `refused`: requests since the proxy started. `now`: Unix time."""
    retire = route.retire
    if retire is None:
        return None
    deprecated = retire.deprecated_at
    return RetireStatus(
        sunset=utc_stamp(retire.sunset),
        deprecated=None if deprecated is None else utc_stamp(deprecated),
        link=retire.link,
        status=retire.status,
        brownouts=[BrownoutStatus(utc_stamp(each.begins), utc_stamp(each.ends)) for each in retire.windows],
        in_force=_in_force(retire, is_served=is_killed or not route.enabled, now=now),
        refused=refused,
    )


def _in_force(retire: RetireSettings, *, is_served: bool, now: float) -> str:
    planned = "retired" if now >= retire.sunset else "brownout" if retire.brownout_at(now) else "announced"
    return "suspended" if is_served and planned != "announced" else planned
