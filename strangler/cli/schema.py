"""`strangler schema`: the JSON Schema of routes.yaml."""

import json

import click

from strangler.config.json_schema import json_schema


@click.command()
def command() -> None:
    """Print the JSON Schema of routes.yaml, for editors.

    Editors use it to complete and check what you write.

    \b
    strangler schema > routes.schema.json
    # yaml-language-server: $schema=routes.schema.json     (first line of routes.yaml)
    """
    click.echo(json.dumps(json_schema(), indent=2, ensure_ascii=False))
