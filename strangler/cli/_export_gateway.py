"""`strangler export gateway-api`: HTTPRoutes for the Gateway of a cluster."""

from pathlib import Path
from typing import Any

import click
import yaml

from strangler.cli._config import config_option, failed
from strangler.cli._export_options import compared, end, loaded_with, name_losses, read_or_fail, report, strict_option
from strangler.config.problem import Problem
from strangler.core.settings import Settings
from strangler.gateway_api.differing import manifest_differences
from strangler.gateway_api.gateway_losses import losses_with
from strangler.gateway_api.grants import foreign_namespaces, reference_grants
from strangler.gateway_api.http_routes import Gateway, Options, http_routes
from strangler.gateway_api.route_rules import Target
from strangler.gateway_api.services import Service, ServiceError, parse_service, services_of


@click.command("gateway-api")
@config_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The file to write, else standard output.",
)
@click.option("--gateway", metavar="[NAMESPACE/]NAME[:LISTENER]", help="The Gateway that the HTTPRoutes belong to.")
@click.option("--namespace", metavar="NAMESPACE", help="The namespace of the HTTPRoutes.")
@click.option("--name", default="strangler", show_default=True, help="The beginning of their names.")
@click.option(
    "--service",
    "written",
    multiple=True,
    metavar="UPSTREAM=NAME[.NAMESPACE]:PORT",
    help="The Service of an upstream whose URL names none; may be repeated.",
)
@click.option(
    "--receiver-service",
    metavar="NAME[.NAMESPACE]:PORT",
    help="The Service of `strangler shadow --listen`, which shadows are mirrored to.",
)
@click.option(
    "--check",
    "checked",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write nothing, but say whether a file still is what routes.yaml says.",
)
@strict_option
def gateway_api(
    config: Path,
    output: Path | None,
    gateway: str | None,
    namespace: str | None,
    name: str,
    written: tuple[str, ...],
    receiver_service: str | None,
    checked: Path | None,
    is_strict: bool,
) -> None:
    """Write routes.yaml as HTTPRoutes of Gateway API.

    Upstreams are Services: http://orders.shop.svc:8080 names the Service orders in the namespace shop. What a Gateway
    does not do is named on standard error and at the top of the file.

    \b
    strangler export gateway-api --gateway infra/web --receiver-service strangler:8082 -o routes-k8s.yaml
    strangler export gateway-api --gateway infra/web --check routes-k8s.yaml
    """
    if checked is not None and output is not None:
        raise click.UsageError("--check writes nothing; leave -o out")
    options = Options(None if gateway is None else _gateway(gateway), namespace, name)
    settings, losses = loaded_with(config, losses_with(has_receiver=receiver_service is not None))
    target = _target(settings, written, receiver_service)
    documents = _documents(settings, target, options)
    if checked is not None:
        content = read_or_fail(checked)
        report(checked, config, compared(checked, lambda: manifest_differences(_read(content), documents)))
    else:
        name_losses(losses)
        _note_options(target, options)
        _write(_text(config, losses, documents), output)
    end(losses, is_strict)


def _gateway(text: str) -> Gateway:
    place, _, rest = text.rpartition("/")
    name, _, section = rest.partition(":")
    if not name:
        raise click.UsageError(f"--gateway {text!r} names no Gateway; write [NAMESPACE/]NAME[:LISTENER]")
    return Gateway(name, place or None, section or None)


def _target(settings: Settings, written: tuple[str, ...], receiver: str | None) -> Target:
    try:
        services = services_of(settings, dict(map(_named, written)))
        return Target(services, None if receiver is None else parse_service(receiver))
    except ServiceError as error:
        raise failed(str(error)) from None


def _named(text: str) -> tuple[str, Service]:
    upstream, equals, service = text.partition("=")
    if not equals:
        raise ServiceError(f"--service {text!r}: write UPSTREAM=NAME:PORT")
    return upstream, parse_service(service)


def _services(target: Target) -> list[Service]:
    return [*target.services.values(), *([] if target.receiver is None else [target.receiver])]


def _documents(settings: Settings, target: Target, options: Options) -> list[dict[str, Any]]:
    documents = http_routes(settings, target, options)
    if options.namespace is not None:
        documents += reference_grants(_services(target), options.namespace, options.name)
    return documents


def _note_options(target: Target, options: Options) -> None:
    """Say on standard error what the manifest lacks without options."""
    if options.gateway is None:
        click.echo("note: the HTTPRoutes belong to no Gateway yet; name it with --gateway", err=True)
    foreign = foreign_namespaces(_services(target), options.namespace)
    if options.namespace is None and foreign:
        click.echo(
            f"note: Services are in the namespace {', '.join(foreign)}; name that of the HTTPRoutes with --namespace,"
            " and the ReferenceGrants that they need are written too",
            err=True,
        )


class _Dumper(yaml.SafeDumper):
    """Writes each part out: people read the file, and no alias saves them anything."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(config: Path, losses: list[Problem], documents: list[dict[str, Any]]) -> str:
    lines = [f"# Made of {config} by `strangler export gateway-api`; edit that file and not this one."]
    lines += [f"# {loss}" for loss in losses]
    text: str = yaml.dump_all(documents, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
    return "\n".join(lines) + "\n" + text


def _read(content: bytes) -> list[dict[str, Any]]:
    try:
        return [each for each in yaml.safe_load_all(content) if each is not None]
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None


def _write(text: str, file: Path | None) -> None:
    if file is None:
        click.echo(text, nl=False)
        return
    try:
        file.write_text(text)
    except OSError as error:
        raise failed(f"{file}: it cannot be written: {error.strerror}") from None
