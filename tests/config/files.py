"""Short files for tests of routes.yaml."""

from datetime import date

from strangler.config.load import Loaded, parse

TODAY = date(2026, 11, 23)

TOP = """\
version: 1
upstreams:
  legacy: {url: "http://127.0.0.1:8000"}
  orders: {url: "http://127.0.0.1:8001"}
routes:
- {name: a, match: {prefix: /a}, candidate: orders}
"""
"""Six lines: what is added to it starts on line 7."""


def read(text: str | bytes, **environ: str) -> Loaded:
    """Return what loading a text gives, on a fixed day."""
    return parse(text, "f", environ, TODAY)


def problems(text: str | bytes, **environ: str) -> list[str]:
    """The lines that `strangler check` would print."""
    return [str(problem) for problem in read(text, **environ).problems]


def warnings(text: str, **environ: str) -> list[str]:
    """The warnings of a file that has no problems."""
    loaded = read(text, **environ)
    assert loaded.problems == ()
    return [str(warning) for warning in loaded.warnings]


def route(more: str = "", match: str = "prefix: /a", goes: str = "candidate: orders") -> str:
    """A file whose only route is on line 6."""
    head, _, _ = TOP.partition("- {name")
    return f"{head}- {{name: a, match: {{{match}}}, {goes}{', ' if more else ''}{more}}}\n"
