"""Requests to the admin listener of a running proxy."""

import os
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import click
import msgspec

from strangler.cli._config import BAD_INPUT
from strangler.config.load import load
from strangler.config.scalars import bearer_token
from strangler.core.documents import ProblemDocument
from strangler.state.folder import is_known
from strangler.state.running import read_running

_Document = TypeVar("_Document")

TIMEOUT_S = 5.0
TOKEN_VARIABLE = "STRANGLER_TOKEN"  # noqa: S105 - the name of a variable


class _AdminUrl(click.ParamType[str]):
    """`http://127.0.0.1:8081`, or `https://…` if something terminates TLS in front of it."""

    name = "url"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            parts = urlsplit(value)
            is_right = parts.scheme in {"http", "https"} and parts.hostname and (parts.port is None or parts.port > 0)
        except ValueError:
            is_right = False
        if not is_right or parts.path.strip("/") or parts.query:
            self.fail(
                f"{value!r} is not the address of an admin listener; write it as http://127.0.0.1:8081", param, ctx
            )
        return f"{parts.scheme}://{parts.netloc}"


_WAY_TO_THE_TOKEN = f"set admin.token in the routes.yaml named with -c, or else ${TOKEN_VARIABLE}"


class _BadFileError(click.ClickException):
    """routes.yaml, or an environment variable, is not valid."""

    exit_code = BAD_INPUT


admin_option = click.option(
    "--admin",
    type=_AdminUrl(),
    metavar="URL",
    help="The admin listener, if routes.yaml does not name it: http://127.0.0.1:8081",
)


@dataclass(frozen=True, slots=True)
class Admin:
    """The address of the admin listener, `http://127.0.0.1:8081`, and its token."""

    url: str
    token: str | None

    def ask(self, method: str, path: str, kind: type[_Document], body: object = None) -> _Document:
        """Return the document that the proxy sends. Raises click.ClickException if it sends none, or refuses."""
        status, content = self._exchange(method, path, body)
        if status >= 400:
            raise self._refused(status, content)
        return self._decoded(content, kind)

    def find(self, path: str, kind: type[_Document]) -> _Document | None:
        """Return the document of a GET; None if there is none of that name. Raises like `ask` for any other refusal."""
        status, content = self._exchange("GET", path, None)
        if status == 404:
            self._decoded(content, dict)  # raises if it is not JSON, which no proxy sends
            return None
        if status >= 400:
            raise self._refused(status, content)
        return self._decoded(content, kind)

    def _exchange(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        payload = None
        if body is not None:
            payload = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        is_https = self.url.startswith("https:")
        connection = (HTTPSConnection if is_https else HTTPConnection)(self._authority, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, payload, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, HTTPException) as error:
            raise self._absent(error) from error
        finally:
            connection.close()

    def _decoded(self, content: bytes, kind: type[_Document]) -> _Document:
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.ValidationError as error:
            raise click.ClickException(
                f"the proxy at {self._authority} sends what this version cannot read ({error});"
                " use the proxy's version of this command, or restart the proxy with this version"
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise self._absent(error) from error

    @property
    def _authority(self) -> str:
        return self.url.partition("://")[2]

    def _absent(self, error: Exception) -> click.ClickException:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        return click.ClickException(f"no proxy answers at {self._authority} ({reason}); is `strangler serve` running?")

    def _refused(self, status: int, content: bytes) -> click.ClickException:
        if status == 401:
            self._decoded(content, dict)
            detail = f"the token is {'wrong' if self.token else 'missing'}; " + _WAY_TO_THE_TOKEN
        else:
            detail = self._decoded(content, ProblemDocument).detail
        return click.ClickException(f"the proxy at {self._authority} refuses: {detail}")


def _token_of_environment() -> str | None:
    text = os.environ.get(TOKEN_VARIABLE, "")
    try:
        return bearer_token(text) if text.strip() else None
    except ValueError as error:
        raise _BadFileError(f"{TOKEN_VARIABLE} is not valid: {error}") from None


def find_admin(config: Path, url: str | None) -> Admin:
    """Return the admin listener named by `url`, else by routes.yaml, or by the default state folder if that cannot be
    loaded. The token is that of routes.yaml, else of the environment."""
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
        # what listens at admin.listen is another proxy, such as that of the folder that this one is a copy of
        raise click.ClickException(
            f"no proxy runs on the state folder {folder}; start it with `strangler serve`, or name another with --admin"
        )
    if settings is None:
        raise _BadFileError(
            f"{config} cannot be loaded ({loaded.problems[0].what}); `strangler check -c {config}` lists all problems,"
            " and --admin names a proxy without the file"
        )
    if settings.admin.listen.port == 0:
        raise click.ClickException(
            f"no proxy runs on the state folder {settings.state}; start it with `strangler serve`"
        )
    return Admin(f"http://{settings.admin.listen}", token)
