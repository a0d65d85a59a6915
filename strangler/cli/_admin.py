"""Requests to the admin listener of a running proxy."""

import os
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import click
import msgspec

from strangler.cli._admin_errors import BadFileError, BusyError, absent
from strangler.cli._trust import Authorities, Pinned, Trust, TrustError
from strangler.config.load import load
from strangler.config.scalars import bearer_token
from strangler.core.documents import ProblemDocument
from strangler.core.settings import Settings
from strangler.state.folder import is_known
from strangler.state.running import Running, read_running

_Document = TypeVar("_Document")
_Command = TypeVar("_Command", bound=Callable[..., Any])

TIMEOUT_S = 5.0
TOKEN_VARIABLE = "STRANGLER_TOKEN"  # noqa: S105 - the name of a variable


class _AdminUrl(click.ParamType[str]):
    """`http://127.0.0.1:8081`, or `https://…` with `admin.tls` or if something terminates TLS in front of it."""

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
_GIVEN_URL, _GIVEN_FILE = "strangler.admin", "strangler.cacert"


@dataclass(frozen=True, slots=True)
class NamedAdmin:
    """The admin listener that the command line names."""

    url: str
    trust: Trust


def admin_option(command: _Command) -> _Command:
    """Add `--admin` and `--cacert`, which the command gets as one parameter: `admin: NamedAdmin | None`."""

    @click.option(
        "--admin",
        "admin_url",
        type=_AdminUrl(),
        metavar="URL",
        help="The admin listener, if routes.yaml does not name it: http://127.0.0.1:8081",
    )
    @click.option(
        "--cacert",
        metavar="FILE",
        help="PEM file with the authority that has signed for --admin https://HOST. Default: the system's.",
    )
    @wraps(command)
    def with_admin(*arguments: Any, admin_url: str | None, cacert: str | None, **options: Any) -> Any:
        given = click.get_current_context().meta  # that of a group is its subcommands', too
        url = given[_GIVEN_URL] = admin_url or given.get(_GIVEN_URL)
        file = given[_GIVEN_FILE] = cacert or given.get(_GIVEN_FILE)
        return command(*arguments, admin=_named(url, file), **options)

    return with_admin  # type: ignore[return-value]  # click replaces the parameters


def _named(url: str | None, cacert: str | None) -> NamedAdmin | None:
    is_https = url is not None and url.startswith("https:")
    if cacert is not None and not is_https:
        raise click.UsageError(
            "--cacert goes with --admin https://HOST:PORT, the listener whose certificate it verifies"
        )
    return None if url is None else NamedAdmin(url, Authorities(cacert))


@dataclass(frozen=True, slots=True)
class Admin:
    """The address of the admin listener, `http://127.0.0.1:8081`, its token, and the certificates accepted of it."""

    url: str
    token: str | None
    trust: Trust
    timeout_s: float = TIMEOUT_S

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

    def open(self, method: str, path: str, body: object) -> tuple[HTTPConnection, HTTPResponse]:
        """Return a response that is to be read while it comes, and the connection to close. Raises like `ask`."""
        connection = self._connection()
        try:
            response = self._sent(connection, method, path, body)
            if response.status < 400:
                return connection, response
            raise self._refused(response.status, response.read())
        except (OSError, HTTPException) as error:
            connection.close()
            raise absent(self.url, error) from error
        except BaseException:
            connection.close()
            raise

    def _exchange(self, method: str, path: str, body: object) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            response = self._sent(connection, method, path, body)
            return response.status, response.read()
        except (OSError, HTTPException) as error:
            raise absent(self.url, error) from error
        finally:
            connection.close()

    def _sent(self, connection: HTTPConnection, method: str, path: str, body: object) -> HTTPResponse:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        payload = None
        if body is not None:
            payload = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        try:
            connection.request(method, path, payload, headers)
            return connection.getresponse()
        except ssl.SSLCertVerificationError as error:
            raise click.ClickException(f"{self._authority} {self.trust.explain(error)}") from error

    def _connection(self) -> HTTPConnection:
        if not self._is_https:
            return HTTPConnection(self._authority, timeout=self.timeout_s)
        try:
            return HTTPSConnection(self._authority, timeout=self.timeout_s, context=self.trust.context())
        except TrustError as error:
            raise BadFileError(str(error)) from None

    def _decoded(self, content: bytes, kind: type[_Document]) -> _Document:
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.ValidationError as error:
            raise click.ClickException(
                f"the proxy at {self._authority} sends what this version cannot read ({error});"
                " use the proxy's version of this command, or restart the proxy with this version"
            ) from error
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise absent(self.url, error) from error

    @property
    def _authority(self) -> str:
        return self.url.partition("://")[2]

    @property
    def _is_https(self) -> bool:
        return self.url.startswith("https:")

    def _refused(self, status: int, content: bytes) -> click.ClickException:
        if status == 401:
            self._decoded(content, dict)
            detail = f"the token is {'wrong' if self.token else 'missing'}; " + _WAY_TO_THE_TOKEN
        else:
            detail = self._decoded(content, ProblemDocument).detail
        kind = BusyError if status == 503 else click.ClickException
        return kind(f"the proxy at {self._authority} refuses: {detail}")


def _token_of_environment() -> str | None:
    text = os.environ.get(TOKEN_VARIABLE, "")
    try:
        return bearer_token(text) if text.strip() else None
    except ValueError as error:
        raise BadFileError(f"{TOKEN_VARIABLE} is not valid: {error}") from None


def find_admin(config: Path, named: NamedAdmin | None) -> Admin:
    """Return the admin listener that is named, else that of routes.yaml, or of the default state folder if the file
    cannot be loaded. The token is that of routes.yaml, else of the environment."""
    loaded = load(config, os.environ)
    settings = loaded.settings
    token = (settings.admin.token if settings else None) or _token_of_environment()
    if named is not None:
        return Admin(named.url, token, named.trust)
    folder = Path(settings.state if settings else ".strangler")
    running = read_running(folder)
    if running is not None:
        return admin_of(running, settings, token)
    if settings is not None and is_known(folder):
        # what listens at admin.listen is another proxy, such as that of the folder that this one is a copy of
        raise click.ClickException(
            f"no proxy runs on the state folder {folder}; start it with `strangler serve`, or name another with --admin"
        )
    if settings is None:
        raise BadFileError(
            f"{config} cannot be loaded ({loaded.problems[0].what}); `strangler check -c {config}` lists all problems,"
            " and --admin names a proxy without the file"
        )
    if settings.admin.listen.port == 0:
        raise click.ClickException(
            f"no proxy runs on the state folder {settings.state}; start it with `strangler serve`"
        )
    scheme = "http" if settings.admin.tls is None else "https"
    return Admin(f"{scheme}://{settings.admin.listen}", token, Pinned(_certificates(settings)))


def running_admin(settings: Settings) -> Admin | None:
    """Return the admin listener of the proxy that runs on the state folder; None if none does."""
    running = read_running(Path(settings.state))
    if running is None or not _listens(running.admin):
        return None
    return admin_of(running, settings, settings.admin.token)


def _listens(authority: str) -> bool:
    """Return whether anything listens there: running.json may be left over from a proxy that was killed."""
    host, _, port = authority.rpartition(":")
    with suppress(OSError), socket.create_connection((host.strip("[]"), int(port)), 1.0):
        return True
    return False


def admin_of(running: Running, settings: Settings | None, token: str | None) -> Admin:
    """Return the admin listener of a running proxy. `settings`: those of its routes.yaml, if that can be loaded."""
    scheme = "https" if running.admin_has_tls else "http"
    trust = Pinned(() if settings is None else _certificates(settings), running.admin_certificates)
    return Admin(f"{scheme}://{running.admin}", token, trust)


def _certificates(settings: Settings) -> tuple[str, ...]:
    tls = settings.admin.tls
    return () if tls is None else tuple(pair.cert for pair in tls.certificates)
