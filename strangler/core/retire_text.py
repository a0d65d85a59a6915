"""How a route ends, in words, for the dashboard and the commands."""

from strangler.core.documents import RetireStatus, RouteStatus


def retire_text(retire: RetireStatus) -> str:
    """Return what is in force, and what comes next: `ends on 2027-03-01 00:00 UTC`."""
    sunset = _words(retire.sunset)
    match retire.in_force:
        case "retired":
            return f"retired since {sunset}: every request is refused with {retire.status}{_count(retire)}"
        case "brownout":
            return f"off in a brownout: every request is refused with 503{_count(retire)}; ends on {sunset}"
        case "suspended":
            return f"served although it is to be off, for it is disabled or the kill switch is on; sunset {sunset}"
        case _:
            return f"ends on {sunset}"


def refuses(route: RouteStatus) -> str | None:
    """Return why the route refuses every request: `brownout` or `retired`; None if it serves them."""
    if route.retire is None or route.retire.in_force not in ("brownout", "retired"):
        return None
    return route.retire.in_force


def _count(retire: RetireStatus) -> str:
    return f" ({retire.refused:,} since the start)" if retire.refused else ""


def brownouts_text(retire: RetireStatus) -> str:
    """Return the brownouts: `2027-02-01 09:00 UTC to 2027-02-01 10:00 UTC, …`; empty if there are none."""
    return ", ".join(f"{_words(each.from_)} to {_words(each.to)}" for each in retire.brownouts)


def _words(stamp: str) -> str:
    """Return `2027-03-01 00:00 UTC` for `2027-03-01T00:00:00Z`."""
    return f"{stamp[:-1].replace('T', ' ').removesuffix(':00')} UTC"
