"""`strangler export`: what routes.yaml says, in the words of other proxies."""

import click

from strangler.cli._export_envoy import envoy
from strangler.cli._export_gateway import gateway_api


@click.group()
def command() -> None:
    """Write what routes.yaml says for Envoy or Gateway API.

    Each key that the other proxy does not keep is named on standard error, with its place in the file.
    """


command.add_command(envoy)
command.add_command(gateway_api)
