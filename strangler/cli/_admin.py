"""Asking a running proxy."""

import os
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from strangler.cli._config import BAD_INPUT
from strangler.config.load import load
from strangler.config.scalars import bearer_token
from strangler.state.folder import is_known
from strangler.state.running import read_running

TIMEOUT_S = 5.0
TOKEN_VARIABLE = "STRANGLER_TOKEN"  # noqa: S105 - the name of a variable


class _AdminUrl(click.ParamType[str]):
    """`http://127.0.0.1:8081`, or `https://…` where something ends TLS in front of it."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            parts = urlsplit(value)
            is_right = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            is_right = False
        if not is_right or parts.path.strip("/") or parts.query:
            self.fail(f"{value!r} is no address of an admin listener; write http://127.0.0.1:8081", param, ctx)
        return f"{parts.scheme}://{parts.netloc}"


_WAY_TO_THE_TOKEN = f"write it as admin.token into the routes.yaml named with -c, or else into ${TOKEN_VARIABLE}"


class _BadFileError(click.ClickException):
    """routes.yaml, or a variable of the environment, tells nothing."""

    exit_code = BAD_INPUT


admin_option = click.option(
    "--admin",
    type=_AdminUrl(),
    metavar="URL",
    help="The admin listener, if routes.yaml does not tell: http://127.0.0.1:8081",
)


@dataclass(frozen=True, slots=True)
class Admin:
    """Where the admin listener is, `http://127.0.0.1:8081`, and what opens it."""

    url: str
    token: str | None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer. Raises click.ClickException if there is none, or it is a refusal."""
        status, content = self._exchange(method, path, body)
        if status >= 400:
            raise self._refused(status, content)
        return content

    def look(self, path: str) -> tuple[int, Any]:
        """Status and decoded answer of a GET; 404 is an answer, too. Raises like `ask` for any other refusal."""
        status, content = self._exchange("GET", path, None)
        if status >= 400 and status != 404:
            raise self._refused(status, content)
        return status, content

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        payload = None
        if body is not None:
            payload = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        scheme, _, authority = self.url.partition("://")
        connection = (HTTPSConnection if scheme == "https" else HTTPConnection)(authority, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            return answer.status, msgspec.json.decode(answer.read())
        except (OSError, HTTPException, msgspec.DecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise click.ClickException(
                f"no proxy answers at {authority} ({reason}); is `strangler serve` running?"
            ) from error
        finally:
            connection.close()

    def _refused(self, status: int, content: Any) -> click.ClickException:
        if status == 401:
            detail = f"its token is {'another' if self.token else 'missing'}; " + _WAY_TO_THE_TOKEN
        else:
            detail = content["detail"]
        return click.ClickException(f"the proxy at {self.url.partition('://')[2]} refuses: {detail}")


def _token_of_environment() -> str | None:
    text = os.environ.get(TOKEN_VARIABLE, "")
    try:
        return bearer_token(text) if text.strip() else None
    except ValueError as error:
        raise _BadFileError(f"{TOKEN_VARIABLE} is not valid: {error}") from None


def find_admin(config: Path, url: str | None) -> Admin:
    """The admin listener named by `url`, else by routes.yaml; with a routes.yaml that is broken at the moment, by the
    state folder of its default name. The token is that of routes.yaml, else of the environment."""
    loaded = load(config, os.environ)
    settings = loaded.settings
    token = (settings.admin.token if settings else None) or _token_of_environment()
    if url is not None:
        return Admin(url, token)
    folder = Path(settings.state if settings else ".strangler")
    running = read_running(folder)
    if running is not None:
        return Admin(f"http://{running.admin}", token)
    if settings is not None and is_known(folder):
        # what listens at admin.listen is another proxy, such as the one that this folder is a copy of
        raise click.ClickException(
            f"no proxy runs on the state folder {folder}; start it with `strangler serve`, or name another with --admin"
        )
    if settings is None:
        raise _BadFileError(
            f"{config} cannot be loaded ({loaded.problems[0].what}); `strangler check -c {config}` tells all,"
            " and --admin names a proxy without it"
        )
    if settings.admin.listen.port == 0:
        raise click.ClickException(f"no proxy runs on the state folder {settings.state}: see `strangler serve`")
    return Admin(f"http://{settings.admin.listen}", token)
