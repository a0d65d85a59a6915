"""The settings of the shadows of a route."""

from strangler.config.schema_routes import Shadow
from strangler.core.settings import BaselineSettings, ShadowSettings


def shadow_settings(shadow: Shadow) -> ShadowSettings:
    """Return the settings that `shadow` of a route says."""
    return ShadowSettings(
        percent=shadow.percent,
        methods=shadow.methods,
        of=shadow.of,
        max_body_bytes=shadow.max_body,
        timeout_s=shadow.timeout,
        in_flight=shadow.in_flight,
        recheck_s=shadow.recheck,
        baseline=BaselineSettings(shadow.baseline.share, shadow.baseline.credentials),
        writes=shadow.writes,
        to=shadow.to,
    )
