"""Percents on the command line, written as in routes.yaml."""

import click

from strangler.config.quantities import percent as read_percent


class Percent(click.ParamType[float]):
    """A percent such as `25`, `25%` or `0.5`."""

    name = "percent"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            return read_percent(str(value))
        except ValueError as error:
            self.fail(f"{value} is not possible; {error}", param, ctx)
