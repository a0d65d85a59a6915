"""The recording under way, as `status` and the dashboard have it."""

from strangler.core.documents.status import RecordingStatus


def recording_text(recording: RecordingStatus) -> str:
    """Return `by ana since 2026-…: orders, 10 % of the callers, redacted; 1,204 pairs, 3 dropped`."""
    routes = "all routes" if recording.routes is None else ", ".join(recording.routes)
    share = "" if recording.share == 100 else f", {recording.share:g} % of the callers"
    redacted = "redacted" if recording.redacted else "NOT redacted"
    counts = f"{recording.pairs:,} pairs, {sum(recording.dropped.values()):,} dropped"
    return f"by {recording.who} since {recording.since}: {routes}{share}, {redacted}; {counts}"
