"""How far back: what `diffs` and `events` have in common."""

import time
from datetime import date

import click

from strangler.config.scalars import duration


class Since(click.ParamType[float]):
    """`2h` or `2026-11-23`; as Unix time."""

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
            self.fail(f"{value!r} is no time; write 30m, 2h or 2026-11-23", param, ctx)
        return time.mktime(moment.timetuple())
