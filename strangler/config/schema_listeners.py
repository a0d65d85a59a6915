"""The keys of `listen`: an address, a mapping, or a list of them. The models see a list of mappings."""

from typing import Annotated

from pydantic import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from strangler.config import types as t
from strangler.config.leaf import Kind
from strangler.config.schema_tls import ListenerTls
from strangler.config.section import REQUIRED, Section, key
from strangler.config.types import LIST

_ADDRESS_SHAPE = {"type": "string"}


class ProxyProtocol(Section):
    from_: Annotated[tuple[t.Network, ...], LIST] = key(
        REQUIRED,
        "Addresses and networks of the load balancers whose header is read; others are turned away, or taken as clients"
        " where `required` is false.",
        "[10.0.0.0/8]",
        name="from",
    )
    required: t.Bool = key(True, "`false`: a connection may come without the header, from anybody.", "false")


class Listener(Section):
    address: t.ListenAddress = key(
        REQUIRED,
        "Host and port, or a unix socket; `[::]` takes IPv4 too. All that is bound is bound at the start.",
        '"[::]:80"',
    )
    tls: ListenerTls | None = key(
        None, "Clients connect by TLS (https://); null: without.", "{certificates: [{cert: shop.pem, key: shop.key}]}"
    )
    proxy_protocol: ProxyProtocol | None = key(
        None,
        "A TCP load balancer says who the client is, by version 1 or 2 of the PROXY protocol; null: none does.",
        "{from: [10.0.0.0/8]}",
    )
    redirect: t.MaybeRedirect = key(
        None, "Every request is answered with 308 to the same host and path at https://; null: forwarded.", "https"
    )
    http2: t.Bool = key(
        False, "Clients may speak HTTP/2 here: by TLS, or in clear with prior knowledge; needs `engine: envoy`.", "true"
    )
    http3: t.Bool = key(
        False, "Clients may speak HTTP/3 here, over UDP at the same port; needs `tls` and `engine: envoy`.", "true"
    )
    mode: t.FileMode = key(0o660, "Permissions of a unix socket.", '"0666"')
    group: t.MaybeText = key(None, "Group of a unix socket, a name or a number; null: that of the process.", "www-data")


class _Shape:
    """The JSON Schema of the three ways to write it."""

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        listed = handler(schema)
        each = {"anyOf": [_ADDRESS_SHAPE, listed["items"]]}
        return {"anyOf": [_ADDRESS_SHAPE, listed["items"], {**listed, "items": each}]}


def _written(listeners: tuple[Listener, ...]) -> str:
    return ", ".join(str(listener.address) for listener in listeners)


Listeners = Annotated[
    tuple[Listener, ...],
    _Shape(),
    Kind("address, mapping, or list of them", _written),
]
DEFAULT_LISTENERS = (Listener(address="127.0.0.1:8080"),)  # type: ignore[arg-type]  # read like the file's
