"""`strangler explain`: where would this request go, and why? Offline: only routes.yaml is read."""

import json
from ipaddress import ip_address
from pathlib import Path

import click

from strangler.cli._config import config_option, settings_of
from strangler.core.explain import Explanation, explain
from strangler.core.plan import Reason
from strangler.core.snapshot import Snapshot
from strangler.wire.described import DescriptionError, described_head


class _Header(click.ParamType[tuple[str, str]]):
    """`Name: value`, as curl takes it."""

    name = "'name: value'"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, colon, text = value.partition(":")
        if not colon or not name.strip():
            self.fail(f"{value!r} is no header; write it as 'X-User-Id: 9'", param, ctx)
        return name, text


class _IpAddress(click.ParamType[str]):
    """IPv4 or IPv6."""

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(ip_address(value))
        except ValueError:
            self.fail(f"{value!r} is no IP address; write it as 203.0.113.9 or 2001:db8::9", param, ctx)


@click.command()
@click.argument("method")
@click.argument("url")
@click.option("-H", "--header", "headers", type=_Header(), multiple=True, help="A header of the request; repeatable.")
@click.option(
    "--client", "client_ip", type=_IpAddress(), default="127.0.0.1", show_default=True, help="The client's address."
)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the answer as JSON.")
def command(
    method: str, url: str, headers: tuple[tuple[str, str], ...], client_ip: str, config: Path, as_json: bool
) -> None:
    """Say where a request would go, and why.

    URL is a path or a whole URL. Nothing is sent: the routes decide, by the function that the proxy itself uses.

    \b
    strangler explain GET '/api/orders/7?x=1' -H 'X-User-Id: 9'
    """
    snapshot = Snapshot(settings_of(config), 0)
    try:
        head = described_head(method, url, headers, client_ip)
    except DescriptionError as error:
        raise click.UsageError(str(error)) from None
    answer = explain(snapshot, head)
    click.echo(json.dumps(answer, ensure_ascii=False) if as_json else _lines(answer))


def _lines(answer: Explanation) -> str:
    shown = {
        "route": answer["route"] or "none",
        "arm": _arm(answer),
        "upstream": answer["upstream"] or "none",
        "path": answer["path"] or "none",
        **{
            f"part {part['name']}": f"{part['upstream']} {part['path']}{'' if part['required'] else ' (optional)'}"
            for part in answer["parts"] or ()
        },
        "bucket": answer["bucket"] if answer["bucket"] is not None else "none",
        "shadow": _shadow(answer),
        "reason": answer["detail"],
    }
    width = max(8, *map(len, shown))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in shown.items())


def _arm(answer: Explanation) -> str:
    arm = answer["arm"] or "none"
    return f"{arm} (the likelier one)" if answer["reason"] == Reason.CHANCE else arm


def _shadow(answer: Explanation) -> str:
    if not answer["shadow"]:
        return "no"
    percent = answer["shadow_percent"]
    return "yes" if percent == 100 else f"{percent:g}% of such requests"
