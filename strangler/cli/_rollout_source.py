"""Rollouts at the running proxy: what commands read of them, and the routes that have none."""

import click

from strangler.cli._admin import Admin
from strangler.cli._rollout_units import RolloutUnit, unit_of
from strangler.cli._terminal import plain
from strangler.core.documents import RolloutsDocument, StatusDocument

NOTHING = """\
No route has a rollout. Write one into a route in place of split.percent, and start it:

    split: {sticky: ["header:X-User-Id", client_ip]}  # what identifies a caller
    rollout: {steps: [1, 5, 25, 50, 100]}

    strangler rollout start ROUTE"""


def read_rollouts(admin: Admin) -> RolloutsDocument:
    return admin.ask("GET", "/api/rollouts", RolloutsDocument)


def known_unit(admin: Admin, route: str) -> RolloutUnit:
    """Return the rollout that a route belongs to. Raises click.ClickException if it has none, with the way out."""
    document = read_rollouts(admin)
    found = unit_of(document, route)
    if found is None:
        raise unknown(admin, document, route)
    return found


def unknown(admin: Admin, document: RolloutsDocument, route: str) -> click.ClickException:
    """Return the error for a name that no route with a rollout has."""
    from strangler.config.edit import unknown_route

    names = [status.name for status in admin.ask("GET", "/api/status", StatusDocument).routes]
    if route not in names:
        return click.ClickException(plain(unknown_route(route, names)))
    having = [status.route for status in document.rollouts]
    others = f"; those that have one: {', '.join(having[:10])}" if having else ""
    return click.ClickException(
        plain(f"route '{route}' has no rollout; write `rollout: {{}}` in it, in place of split.percent{others}")
    )
