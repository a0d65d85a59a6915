"""Times on the command line, written as in routes.yaml."""

import time
from datetime import UTC, date, datetime

import click

from strangler.config.quantities import duration
from strangler.config.scalars import day


class Duration(click.ParamType[float]):
    """A duration such as `500ms`, `20s` or `5m`, in seconds."""

    name = "duration"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return duration(value, zero=False)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)


class Since(click.ParamType[float]):
    """A time written as `2h` (ago) or `2026-11-23`, as Unix time."""

    name = "since"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        if isinstance(value, float):
            return value
        try:
            return time.time() - duration(value, zero=False)
        except ValueError:
            pass
        try:
            moment = date.fromisoformat(value)
        except ValueError:
            self.fail(f"{value!r} is not a time; write 30m, 2h or 2026-11-23", param, ctx)
        return time.mktime(moment.timetuple())


class SinceDay(click.ParamType[str]):
    """The day from which calls count, in UTC, written as `30d` (the last 30 days) or `2027-02-01`."""

    name = "since"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return datetime.fromtimestamp(time.time() - duration(value, zero=False), UTC).date().isoformat()
        except (ValueError, OverflowError, OSError):
            pass
        try:
            return date.fromisoformat(value).isoformat()
        except ValueError:
            self.fail(f"{value!r} is no day; write 30d or 2027-02-01", param, ctx)


class Day(click.ParamType[str]):
    """A day such as `2027-01-31`."""

    name = "day"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return day(value)
        except ValueError as error:
            self.fail(f"{value!r}: {error}", param, ctx)
