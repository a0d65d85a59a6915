"""`strangler check`: is routes.yaml right, and what in it should its author know?"""

import json
import os
from dataclasses import asdict
from pathlib import Path

import click

from strangler.cli._admin import admin_option
from strangler.cli._config import BAD_INPUT, config_option, failed
from strangler.cli._gates import judge_gates
from strangler.cli._terminal import plain
from strangler.config.load import Loaded, load


@click.command()
@config_option
@click.option("--gate", "is_gated", is_flag=True, help="Fail, too, where a percent rises that its gate does not allow.")
@click.option("--against", type=click.Path(path_type=Path), help="With --gate: the file that was in force before.")
@admin_option
@click.option("--json", "as_json", is_flag=True, help="Print what was found as JSON.")
def command(config: Path, is_gated: bool, against: Path | None, admin: str | None, as_json: bool) -> None:
    """Say all that is wrong with routes.yaml, and where.

    Problems and warnings go to standard error. Problems end with exit code 2; warnings alone with 0.

    With --gate, for a pipeline that deploys the file: exit code 1 where it raises a percent and the gate of the route
    is not met. Without --against the running proxy says what is in force. A route that is new, or that goes to another
    candidate, counts from 0; of a gate that the same edit changes the stricter one holds. Routes without a gate never
    fail; their verdict is printed.
    """
    if against is not None and not is_gated:
        raise failed("--against belongs to --gate")
    loaded = load(config, os.environ)
    gates = None if loaded.settings is None or not is_gated else judge_gates(config, loaded.settings, against, admin)
    if as_json:
        data = _as_data(config, loaded) | ({} if gates is None else {"gate": gates.as_data()})
        click.echo(json.dumps(data, ensure_ascii=False, indent=2))
    else:
        _tell(config, loaded)
        for line in [] if gates is None else gates.lines():
            click.echo(plain(line))
    if loaded.settings is None:
        raise SystemExit(BAD_INPUT)
    if gates is not None and not gates.is_allowed:
        raise SystemExit(1)


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
