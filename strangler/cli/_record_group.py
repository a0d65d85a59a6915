"""`strangler record ROUTE…`, which is also the group of `record export`."""

from typing import Any, Final

import click

_HAS_SUBCOMMAND: Final = "strangler.record.has_subcommand"
_ROUTES: Final = "routes"


class RecordGroup(click.Group):
    """A group whose words are routes, unless the first one is a subcommand; `--` before them makes them routes."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[_HAS_SUBCOMMAND] = self._has_subcommand(ctx, args)
        if ctx.meta[_HAS_SUBCOMMAND]:
            return super().parse_args(ctx, args)
        ctx.allow_interspersed_args = True
        return click.Command.parse_args(self, ctx, args)

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        found = super().get_params(ctx)
        if ctx.meta.get(_HAS_SUBCOMMAND):
            return [parameter for parameter in found if parameter.name != _ROUTES]
        return found

    def _has_subcommand(self, ctx: click.Context, args: list[str]) -> bool:
        """Return whether the first word is a subcommand. Wrong options are reported by the parser itself."""
        takes_value = {name for each in self.params for name in each.opts if _takes_value(each)}
        words = iter(args)
        for word in words:
            if word == "--":
                return False
            if not word.startswith("-") or word == "-":
                return word in self.commands
            if word in takes_value:
                next(words, None)
        return False


def _takes_value(parameter: Any) -> bool:
    return isinstance(parameter, click.Option) and not parameter.is_flag
