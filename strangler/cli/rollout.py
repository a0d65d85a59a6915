"""`strangler rollout`: percents that climb by evidence; start, pause and resume them, approve a step, go back."""

import click

from strangler.cli._rollout_actions import approve, back, pause, resume, start
from strangler.cli._rollout_status import status


@click.group()
def command() -> None:
    """Let percents climb by evidence, and see why they wait.

    A route with `rollout` in routes.yaml climbs its steps while the candidate does well, and comes down if it does not.

    \b
    strangler rollout start orders
    strangler rollout status
    """


for subcommand in (status, start, pause, resume, approve, back):
    command.add_command(subcommand)
