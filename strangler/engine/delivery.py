"""The delivery of new resources to a running Envoy: in an order in which nothing refers to what is not there.

    secrets -> runtime, clusters and gates of both -> routes -> listeners, clusters and runtime without the former ones

Each file is confirmed before the next one is written. What Envoy refuses is taken back, so that its files are always
those of one configuration.
"""

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from strangler.engine.admin_socket import AdminError
from strangler.engine.confirmation import (
    CLUSTERS,
    LISTENERS,
    ROUTES,
    RUNTIME,
    Confirmation,
    FileStatus,
    RefusedError,
    UnconfirmedError,
)
from strangler.engine.written_files import put
from strangler.envoy import resources
from strangler.envoy.resources import EnvoyResources, Resource

_FILES = {
    CLUSTERS: resources.CLUSTERS,
    LISTENERS: resources.LISTENERS,
    ROUTES: resources.ROUTES,
    RUNTIME: resources.RUNTIME,
}


class DeliveryError(Exception):
    """Envoy goes on with what it had; the message says why."""


@dataclass(frozen=True, slots=True)
class _Written:
    """The content of a kind's file in the folder, and the version that it was written with."""

    content: object
    version: str


Layer = Callable[[], Mapping[str, Any]]
"""Returns the runtime of some settings, with the kill switch as it is at that moment."""


class Delivery:
    """Writes the files of one folder. `name` is part of each version, and used by no other process."""

    def __init__(self, folder: Path, name: str, layer: Layer) -> None:
        """`layer` is that of the settings that Envoy has, or is started with."""
        self.delivered: EnvoyResources | None = None
        """The resources that Envoy has confirmed, or is started with; None: those that another process has written."""
        self._folder = folder
        self._name = name
        self._layers: tuple[Layer, ...] = (layer,)
        self._count = itertools.count(1)
        self._written: dict[str, _Written] = {}

    def write_all(self, new: EnvoyResources, layer: Layer) -> None:
        """Write all files that an Envoy follows, before it is started. Raises DeliveryError."""
        self._layers = (layer,)
        try:
            self._write_secrets(new)
            for kind in _FILES:
                self._write(kind, new)
        except OSError as error:
            raise self._unwritten(error) from error
        self.delivered = new

    async def confirm_all(self, confirmation: Confirmation) -> None:
        """Return once a started Envoy has taken all files. Raises DeliveryError."""
        for kind in (RUNTIME, CLUSTERS, LISTENERS, ROUTES):
            try:
                await self._confirm(kind, confirmation, FileStatus())
            except (RefusedError, UnconfirmedError) as error:
                raise DeliveryError(str(error)) from error

    async def deliver(self, new: EnvoyResources, layer: Layer, confirmation: Confirmation) -> None:
        """Replace what Envoy has; return once it has taken all of it. Raises DeliveryError, having taken it back.

        `layer` is that of the new settings.
        """
        former, layers = self.delivered, self._layers
        both = new if former is None else _with_former(former, new)
        steps = (
            (RUNTIME, both),
            (CLUSTERS, both),
            (LISTENERS, both),
            (ROUTES, new),
            (LISTENERS, new),
            (CLUSTERS, new),
        )
        self._layers = (*layers, layer)
        try:
            self._write_secrets(new)
            for kind, wanted in steps:
                await self._take_step(kind, wanted, confirmation)
            self._layers = (layer,)
            await self._take_step(RUNTIME, new, confirmation)
        except (RefusedError, UnconfirmedError, AdminError) as error:
            self._take_back(former, layers)
            raise DeliveryError(str(error)) from error
        except OSError as error:
            self._take_back(former, layers)
            raise self._unwritten(error) from error
        self.delivered = new

    def write_runtime(self) -> None:
        """Write the runtime at once, whatever else is under way. Raises OSError."""
        runtime = self.runtime
        self._put(RUNTIME, runtime, partial(resources.runtime_file, runtime))

    async def confirm_runtime(self, confirmation: Confirmation) -> None:
        """Return once Envoy has taken the runtime that was written last. Raises DeliveryError."""
        try:
            await self._confirm(RUNTIME, confirmation, FileStatus(refusals=_NEVER))
        except (RefusedError, UnconfirmedError) as error:
            raise DeliveryError(str(error)) from error

    @property
    def runtime(self) -> dict[str, Any]:
        """The runtime as it should be now: that of all settings which Envoy may have."""
        return {key: value for layer in self._layers for key, value in layer().items()}

    async def _take_step(self, kind: str, wanted: EnvoyResources, confirmation: Confirmation) -> None:
        written = self._written.get(kind)
        if written is not None and written.content == self._content(kind, wanted):
            return
        before = await confirmation.seen(kind)
        self._write(kind, wanted)
        await self._confirm(kind, confirmation, before)

    async def _confirm(self, kind: str, confirmation: Confirmation, before: FileStatus) -> None:
        """Wait for the version that was written last: the kill switch may be turned meanwhile."""
        await confirmation.wait(kind, lambda: self._written[kind].version, before)

    def _write_secrets(self, new: EnvoyResources) -> None:
        """Write the files of secrets that are not there. They never change, and those of former settings stay, since
        Envoy may have those yet."""
        for name, content in new.secret_files().items():
            if not (self._folder / name).exists():
                put(self._folder, name, content)

    def _write(self, kind: str, new: EnvoyResources) -> None:
        if kind == RUNTIME:
            self.write_runtime()
        else:
            self._put(kind, self._content(kind, new), partial(new.discovery_file, _FILES[kind]))

    def _put(self, kind: str, content: object, made: Callable[[str], bytes]) -> None:
        """Write a file, and note what stands in it. `made` returns its bytes for a version."""
        version = f"{self._name}.{next(self._count)}"
        put(self._folder, _FILES[kind], made(version))
        self._written[kind] = _Written(content, version)

    def _content(self, kind: str, of: EnvoyResources) -> object:
        if kind == RUNTIME:
            return self.runtime
        return {CLUSTERS: of.clusters, LISTENERS: of.listeners, ROUTES: of.routes}[kind]

    def _take_back(self, former: EnvoyResources | None, layers: tuple[Layer, ...]) -> None:
        """Write the former files again, without waiting: an Envoy that starts again must find them."""
        self._layers = layers
        if former is None:
            return
        for kind in _FILES:
            written = self._written.get(kind)
            if written is None or written.content != self._content(kind, former):
                try:
                    self._write(kind, former)
                except OSError:  # to be written with the next delivery
                    self._written.pop(kind, None)

    def _unwritten(self, error: OSError) -> DeliveryError:
        return DeliveryError(f"cannot write in {self._folder}: {error.strerror or error}")


_NEVER = 2**62


def _with_former(former: EnvoyResources, new: EnvoyResources) -> EnvoyResources:
    """Return new resources with the former clusters and gates, which routes still lead to."""
    gates = [listener for listener in former.listeners if "internal_listener" in listener]
    return replace(new, clusters=_joined(new.clusters, former.clusters), listeners=_joined(new.listeners, gates))


def _joined(new: Iterable[Resource], former: Iterable[Resource]) -> tuple[Resource, ...]:
    """Return new resources, and former ones of other names."""
    new = tuple(new)
    names = {each["name"] for each in new}
    return (*new, *(each for each in former if each["name"] not in names))
