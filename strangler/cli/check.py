"""`strangler check`: is routes.yaml right, and what in it should its author know?"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click
from click.core import ParameterSource

from strangler.cli._config import BAD_INPUT, config_option
from strangler.config.load import STANDARD_INPUT, STANDARD_INPUT_NAME, Loaded, load


@click.command()
@click.argument("file", type=click.Path(path_type=Path), required=False)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
@click.pass_context
def command(ctx: click.Context, file: Path | None, config: Path, as_json: bool) -> None:
    """Say all that is wrong with routes.yaml, and where.

    It is named as FILE or by -c; - is standard input.

    Problems and warnings go to standard error. Problems end with exit code 2; warnings alone with 0.
    """
    if file is not None:
        if ctx.get_parameter_source("config") is not ParameterSource.DEFAULT:
            raise click.UsageError("FILE and -c both name a file; keep one of them")
        config = file
    loaded = load(config, os.environ)
    config = Path(STANDARD_INPUT_NAME) if str(config) == STANDARD_INPUT else config
    if as_json:
        click.echo(json.dumps(_as_data(config, loaded), ensure_ascii=False, indent=2))
    else:
        _tell(config, loaded)
    if loaded.settings is None:
        raise SystemExit(BAD_INPUT)


def _tell(config: Path, loaded: Loaded) -> None:
    for problem in sorted((*loaded.problems, *loaded.warnings), key=lambda each: each.order):
        click.echo(str(problem), err=True)
    click.echo(f"{config}: {_summary(loaded)}", err=loaded.settings is None)


def _summary(loaded: Loaded) -> str:
    warnings = [_count(len(loaded.warnings), "warning")] if loaded.warnings else []
    if loaded.settings is None:
        return ", ".join([_count(len(loaded.problems), "problem"), *warnings])
    upstreams, routes = len(loaded.settings.upstreams), len(loaded.settings.routes)
    return f"ok: {', '.join([_count(upstreams, 'upstream'), _count(routes, 'route'), *warnings])}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _as_data(config: Path, loaded: Loaded) -> dict[str, object]:
    settings = loaded.settings
    return {
        "file": str(config),
        "ok": settings is not None,
        "upstreams": None if settings is None else len(settings.upstreams),
        "routes": None if settings is None else len(settings.routes),
        "problems": [asdict(problem) for problem in loaded.problems],
        "warnings": [asdict(problem) for problem in loaded.warnings],
    }
