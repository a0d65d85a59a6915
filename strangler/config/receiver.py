"""The settings of a node that takes mirrored requests of other proxies."""

from dataclasses import replace
from functools import cache

from strangler.config.schema_routes import Shadow
from strangler.config.shadow_settings import shadow_settings
from strangler.core.listener_settings import Address
from strangler.core.routing.arm import LEGACY
from strangler.core.settings import ReceiverSettings, RouteSettings, Settings, ShadowSettings


def with_receiver(settings: Settings, listen: Address) -> Settings:
    """Return the settings with a receiver. Routes without `shadow` get the defaults of its keys, for mirrored requests
    alone, and all of them."""
    return replace(settings, receiver=ReceiverSettings(listen), routes=tuple(map(_received, settings.routes)))


def receiver_only(settings: Settings, listen: Address) -> Settings:
    """Return the settings of a node that is a receiver and nothing else: no client connects, no worker runs."""
    return replace(with_receiver(settings, listen), listeners=(), workers=0)


def _received(route: RouteSettings) -> RouteSettings:
    """Return a route whose mirrored requests can be compared; one that has no second arm stays as it is."""
    if route.shadow is not None or route.is_passthrough or route.candidate == LEGACY:
        return route
    return replace(route, shadow=_default())


@cache
def _default() -> ShadowSettings:
    written: Shadow = Shadow(percent="100")  # type: ignore[arg-type]  # read like the file's
    return replace(shadow_settings(written), is_only_received=True)
