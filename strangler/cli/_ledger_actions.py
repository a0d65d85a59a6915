"""`strangler ledger fold`, `unfold`, `ignore` and `own`: what the operator knows better."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin
from strangler.cli._diffs_where import config_of, where_options
from strangler.cli._ledger_show import unknown
from strangler.cli._ledger_source import find_ledger
from strangler.cli._terminal import plain
from strangler.core.documents import LedgerActionRequest

_F = TypeVar("_F", bound=Callable[..., Any])


def _change_options(command: _F) -> _F:
    why = click.option("--why", default="", help="Why; kept in the audit.")
    return where_options(why(click.pass_context(command)))  # type: ignore[return-value]  # without the context


@click.command()
@click.argument("endpoint")
@_change_options
def fold(ctx: click.Context, endpoint: str, why: str, config: Path | None, admin: NamedAdmin | None) -> None:
    """Make all paths of a template one endpoint.

    For values that look like words. It holds for all methods, and also for what was counted before.

    \b
    strangler ledger fold '/shops/{}'
    """
    _change(ctx, "fold", LedgerActionRequest(endpoint, why=why), config, admin)


@click.command()
@click.argument("endpoint")
@_change_options
def unfold(ctx: click.Context, endpoint: str, why: str, config: Path | None, admin: NamedAdmin | None) -> None:
    """Undo a fold, for calls from now on.

    Its words are endpoints of their own then. What was counted stays in the row of the template.

    \b
    strangler ledger unfold 'GET /shops/{}'
    """
    _change(ctx, "unfold", LedgerActionRequest(endpoint, why=why), config, admin)


@click.command()
@click.argument("endpoint")
@_change_options
def ignore(ctx: click.Context, endpoint: str, why: str, config: Path | None, admin: NamedAdmin | None) -> None:
    """Hide an endpoint; called again, show it.

    For what says nothing about the migration. It counts neither in the share nor in the states.

    \b
    strangler ledger ignore 'GET /health' --why "the load balancer asks"
    """
    _change(ctx, "ignore", LedgerActionRequest(endpoint, why=why), config, admin)


@click.command()
@click.argument("endpoint")
@click.argument("name", default="")
@_change_options
def own(ctx: click.Context, endpoint: str, name: str, why: str, config: Path | None, admin: NamedAdmin | None) -> None:
    """Name who answers for an endpoint.

    Without NAME, nobody does.

    \b
    strangler ledger own 'GET /orders/{}' "team orders"
    """
    _change(ctx, "own", LedgerActionRequest(endpoint, why=why, name=name), config, admin)


def _change(
    ctx: click.Context, action: str, request: LedgerActionRequest, config: Path | None, admin: NamedAdmin | None
) -> None:
    ledger = find_ledger(config_of(ctx, config), admin)
    if action in ("ignore", "own"):
        found = ledger.endpoint(request.endpoint)
        if found is None:
            raise unknown(ledger, request.endpoint)
    named = LedgerActionRequest(request.endpoint, acting_user(), request.why, request.name)
    click.echo(plain(ledger.change(action, named)))
