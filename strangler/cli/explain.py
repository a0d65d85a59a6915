"""`strangler explain`: where would this request go, and why? Offline: routes.yaml and its state folder are read."""

import time
from ipaddress import ip_address
from pathlib import Path

import click

from strangler.cli._config import config_option, settings_of
from strangler.cli._json import json_text
from strangler.cli._rollout_percents import with_stored_percents
from strangler.config.quantities import duration_text
from strangler.core.documents import ExplainedPart, ExplainedTimeout, Explanation
from strangler.core.routing.arm import Reason
from strangler.core.routing.explain import explain
from strangler.core.routing.snapshot import Snapshot
from strangler.http1.request_text import DescriptionError, described_head
from strangler.state import kill_switch
from strangler.state.kill_switch import KillSwitchState


class _Header(click.ParamType[tuple[str, str]]):
    """A header written as `Name: value`, as for curl."""

    name = "'name: value'"

    def convert(
        self, value: str | tuple[str, str], param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        if isinstance(value, tuple):
            return value
        name, colon, text = value.partition(":")
        if not colon or not name.strip():
            self.fail(f"{value!r} is not a header; write it as 'X-User-Id: 9'", param, ctx)
        return name, text


class _IpAddress(click.ParamType[str]):
    """An IPv4 or IPv6 address."""

    name = "address"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            return str(ip_address(value))
        except ValueError:
            self.fail(f"{value!r} is not an IP address; write it as 203.0.113.9 or 2001:db8::9", param, ctx)


@click.command()
@click.argument("method")
@click.argument("url")
@click.option("-H", "--header", "headers", type=_Header(), multiple=True, help="A header of the request; repeatable.")
@click.option(
    "--client",
    "client_ip",
    type=_IpAddress(),
    default="127.0.0.1",
    show_default=True,
    help="The address that connects. If it is in trusted_proxies, X-Forwarded-For from -H names the client.",
)
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def command(
    method: str, url: str, headers: tuple[tuple[str, str], ...], client_ip: str, config: Path, as_json: bool
) -> None:
    """Say where a request would go, and why.

    URL is a path or a whole URL. Nothing is sent: routes.yaml decides, and of its state folder the kill switch and the
    percents of rollouts, in the function that the proxy itself uses.

    \b
    strangler explain GET '/api/orders/7?x=1' -H 'X-User-Id: 9'
    """
    settings = with_stored_percents(settings_of(config))
    try:
        head = described_head(settings, method, url, headers, client_ip)
    except DescriptionError as error:
        raise click.UsageError(str(error)) from None
    switch = _kill_switch(Path(settings.state))
    response = explain(Snapshot(settings, 0), head, switch.on, time.time(), frozenset(switch.routes))
    click.echo(json_text(response) if as_json else _lines(response))


def _kill_switch(folder: Path) -> KillSwitchState:
    """Return the kill switch as stored for a proxy that runs or will be started."""
    if kill_switch.may_read(folder):
        return kill_switch.read(folder)
    click.echo(
        f"the kill switch in {folder} cannot be read by this user, so this assumes that it is off;"
        " run this as the user of the proxy",
        err=True,
    )
    return kill_switch.OFF


def _lines(response: Explanation) -> str:
    values = {
        "route": response.route or "none",
        **({} if response.owner is None else {"owner": response.owner}),
        "arm": _arm(response),
        "upstream": response.upstream or "none",
        "path": response.path or "none",
        **{
            f"part {part.name}": f"{part.upstream} {part.path}{'' if part.required else ' (optional)'}"
            f", {_part_timeouts(part)}"
            for part in response.parts or ()
        },
        **({} if response.timeouts is None else {"timeouts": _timeouts(response.timeouts)}),
        "bucket": response.bucket if response.bucket is not None else "none",
        "shadow": _shadow(response),
        "reason": response.detail,
    }
    width = max(8, *map(len, values))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in values.items())


def _arm(response: Explanation) -> str:
    arm = response.arm or "none"
    return f"{arm} (the likelier one)" if response.reason == Reason.CHANCE else arm


def _part_timeouts(part: ExplainedPart) -> str:
    own = "" if part.timeout_s is None else f"in all {duration_text(part.timeout_s)}, "
    return own + _timeouts(part.timeouts)


def _timeouts(timeouts: dict[str, ExplainedTimeout]) -> str:
    """Return `connect 2s (default), response 5s (route), idle none (upstream)`."""
    return ", ".join(
        f"{name} {'none' if timeout.seconds is None else duration_text(timeout.seconds)} ({timeout.source})"
        for name, timeout in timeouts.items()
    )


def _shadow(response: Explanation) -> str:
    if not response.shadow:
        return "no"
    percent = response.shadow_percent
    return "yes" if percent == 100 else f"{percent:g}% of such requests"
