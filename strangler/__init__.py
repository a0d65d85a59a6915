"""Strangler moves a monolith's endpoints to new services, a percent at a time, after comparing their responses."""

__version__ = "0.1.0"


def is_compiled() -> bool:
    """Return True if the hot path was compiled at installation."""
    from importlib.util import find_spec

    found = find_spec("strangler.http1.client_connection")
    return found is not None and not str(found.origin).endswith(".py")
