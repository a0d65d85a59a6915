"""The making of Envoy's configuration, as the engine's process sees it."""

import ssl
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from strangler.core.settings import Settings
from strangler.envoy import render as rendered
from strangler.envoy.place import EnvoyPlace, Switches
from strangler.envoy.resources import EnvoyResources
from strangler.envoy.runtime import runtime_layer


def system_ca() -> str:
    """Return the file of the authorities that this machine trusts."""
    return ssl.get_default_verify_paths().cafile or _USUAL_CA


def with_listeners_of_start(settings: Settings, former: Settings, addresses: Collection[str]) -> Settings:
    """Return settings with the listeners at these addresses alone: where clients connect changes at a restart.

    One that the settings have no more stays as it was, with its certificates.
    """
    by_address = {str(listener.address): listener for listener in (*former.listeners, *settings.listeners)}
    listeners = tuple(by_address[address] for address in addresses if address in by_address)
    if listeners == settings.listeners:
        return settings
    return replace(settings, listeners=listeners, files={**former.files, **settings.files})


_USUAL_CA: Final = "/etc/ssl/certs/ca-certificates.crt"


class Render(Protocol):
    """The function `strangler.envoy.render.render`. `now`: Unix time, which `retire` depends on."""

    def __call__(
        self, settings: Settings, place: EnvoyPlace, generation: int, switches: Switches, now: float
    ) -> EnvoyResources: ...


@dataclass(slots=True)
class SwitchState:
    """The kill switch as control has turned it last."""

    present: Switches = field(default_factory=Switches)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The settings that Envoy is to have, at a time that `retire` depends on."""

    settings: Settings
    generation: int
    now: float
    switch: SwitchState
    render: Render = rendered.render

    def at(self, place: EnvoyPlace) -> EnvoyResources:
        """Return all resources. 10,000 routes take seconds."""
        return self.render(self.settings, place, self.generation, self.switch.present, self.now)

    def layer(self) -> Mapping[str, Any]:
        """Return the runtime with the kill switch as it is now, which takes milliseconds."""
        return runtime_layer(self.settings, self.switch.present)

    @property
    def next_change(self) -> float | None:
        """The Unix time at which the same settings lead to other resources; None: never."""
        return rendered.next_change(self.settings, self.now)
