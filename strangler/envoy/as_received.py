"""The HTTP that Envoy passes on as it was received: paths, field names, ids, methods."""

from typing import Final

from strangler.envoy.extensions import preserve_case
from strangler.envoy.resources import Resource

LARGEST_HEAD_KIB: Final = 8192
"""The most that Envoy takes as a limit of heads."""

UPGRADES: Final = ("websocket", "h2c", "SPDY/3.1", "tcp")


def http1_options() -> Resource:
    """Return the options of HTTP/1 towards clients."""
    return {
        "accept_http_10": True,
        "allow_custom_methods": True,
        "enable_trailers": True,
        "header_key_format": preserve_case(),
    }


def as_received() -> Resource:
    """Return the fields of a connection manager that keep Envoy from changing what passes."""
    return {
        "server_header_transformation": "PASS_THROUGH",
        "generate_request_id": False,
        "preserve_external_request_id": True,
        "normalize_path": False,
        "merge_slashes": False,
        "path_with_escaped_slashes_action": "KEEP_UNCHANGED",
        "upgrade_configs": [{"upgrade_type": each} for each in UPGRADES],
    }
