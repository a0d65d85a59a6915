"""Sizes and shares on the command line of `record`, written as in routes.yaml."""

import click

from strangler.cli._percent import Percent
from strangler.cli._times import Duration
from strangler.config.quantities import duration_text, size, size_text


class Size(click.ParamType[int]):
    """A size such as `64KiB` or `1GiB`, in bytes."""

    name = "size"

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most

    def convert(self, value: str | int, param: click.Parameter | None, ctx: click.Context | None) -> int:
        try:
            read = size(str(value))
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
        if not self._least <= read <= self._most:
            self.fail(f"{value!r}: it must be {size_text(self._least)} to {size_text(self._most)}", param, ctx)
        return read


class ShareOfCallers(Percent):
    """A percent of the callers, above 0."""

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        read = super().convert(value, param, ctx)
        if not read:
            self.fail("a share of 0 records nobody; write 1% or more, or 0.01% of very many callers", param, ctx)
        return read


class LimitedDuration(Duration):
    """A duration up to a limit."""

    def __init__(self, longest_s: float) -> None:
        self._longest_s = longest_s

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        read = super().convert(value, param, ctx)
        if read > self._longest_s:
            self.fail(f"{value!r}: it must be at most {duration_text(self._longest_s)}", param, ctx)
        return read
