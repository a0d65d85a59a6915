"""Strangler: moves a monolith's endpoints to new services, a percent at a time, every answer compared first."""

__version__ = "0.1.0"


def is_compiled() -> bool:
    """Whether the hot path was compiled when this was installed."""
    from importlib.util import find_spec

    found = find_spec("strangler.http1.client_connection")
    return found is not None and not str(found.origin).endswith(".py")
