"""The envelopes of Envoy's extensions: a name, and a configuration with its type."""

import hashlib
import json
from typing import Final

from strangler.envoy.resources import Resource

EXTENSIONS: Final = "type.googleapis.com/envoy.extensions."
CLUSTER: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
LISTENER: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"

PROTOCOL_OPTIONS: Final = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
"""The key of a cluster's HTTP options among its protocol options."""


def extension(name: str, kind: str, **config: object) -> Resource:
    """Return an extension by its name and the end of its type: `filters.http.router.v3.Router`."""
    return {"name": name, "typed_config": {"@type": EXTENSIONS + kind, **config}}


def protocol_options(**options: object) -> Resource:
    """Return the HTTP options of a cluster."""
    return {PROTOCOL_OPTIONS: {"@type": f"{EXTENSIONS}upstreams.http.v3.HttpProtocolOptions", **options}}


def preserve_case() -> Resource:
    """Return the options of HTTP/1.1 that pass the names of fields as they came."""
    return {
        "stateful_formatter": extension(
            "preserve_case", "http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"
        )
    }


def digest(content: object) -> str:
    """Return a short name for a content: equal contents share it."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:12]
