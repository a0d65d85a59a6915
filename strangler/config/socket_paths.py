"""The paths of unix sockets, of listeners and of upstreams: where they start, and which cannot be used."""

import os
from collections.abc import Iterator
from dataclasses import replace
from os.path import normpath
from pathlib import Path

from strangler.config.document import Document, Loc
from strangler.config.notes import Notes
from strangler.config.problem import Problem
from strangler.core.listener_settings import MAX_UNIX_PATH_BYTES, UNIX, Address, ListenerSettings
from strangler.core.settings import ReceiverSettings, Settings, UpstreamSettings, Url

OWN = "that is the proxy's own {listener} address, so requests would loop; name the service's"
"""The complaint about an upstream that is a listener of the proxy."""


def with_absolute_sockets(settings: Settings, folder: Path) -> Settings:
    """Return the settings with all paths of unix sockets absolute; relative ones start at the folder."""

    def absolute(path: str) -> str:
        return str((folder / path).absolute())

    def of_address(address: Address) -> Address:
        path = address.unix_path
        return address if path is None else Address(f"{UNIX}{absolute(path)}", 0)

    def of_listener(listener: ListenerSettings) -> ListenerSettings:
        return replace(listener, address=of_address(listener.address))

    def of_url(url: Url) -> Url:
        return url if url.unix_path is None else replace(url, unix_path=absolute(url.unix_path))

    def of_upstream(upstream: UpstreamSettings) -> UpstreamSettings:
        if all(url.unix_path is None for url in upstream.urls):
            return upstream
        return replace(upstream, urls=tuple(map(of_url, upstream.urls)))

    return replace(
        settings,
        listeners=tuple(map(of_listener, settings.listeners)),
        receiver=None if settings.receiver is None else ReceiverSettings(of_address(settings.receiver.listen)),
        upstreams={name: of_upstream(upstream) for name, upstream in settings.upstreams.items()},
    )


def check_sockets(settings: Settings, read: Document) -> list[Problem]:
    """Return the problems of sockets that no upstream can have. All paths are absolute."""
    notes = Notes(read)
    own = _own_sockets(settings)
    for loc, path in _sockets(settings, read):
        size = len(os.fsencode(path))
        if size > MAX_UNIX_PATH_BYTES:
            what = f"the path of the socket has {size} bytes, and the system allows {MAX_UNIX_PATH_BYTES}"
            notes.error(loc, what, f"move it to a shorter one than {path}")
        elif normpath(path) in own:
            notes.value(loc, OWN.format(listener=own[normpath(path)]))
    return notes.found


def _own_sockets(settings: Settings) -> dict[str, str]:
    """Return the paths at which the proxy itself listens, and the keys that say so."""
    receiver = [] if settings.receiver is None else [("receiver.listen", settings.receiver.listen)]
    places = [*(("listen", listener.address) for listener in settings.listeners), *receiver]
    return {normpath(place.unix_path): key for key, place in places if place.unix_path is not None}


def _sockets(settings: Settings, read: Document) -> Iterator[tuple[Loc, str]]:
    for name, upstream in settings.upstreams.items():
        for index, url in enumerate(upstream.urls):
            single: Loc = ("upstreams", name, "url")
            if url.unix_path is not None:
                yield single if read.node(single) is not None else (*single[:2], "urls", index), url.unix_path
