"""Asking a running proxy: what `status` and `kill-switch` have in common."""

import http.client
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
import msgspec

from strangler.config.load import load
from strangler.control.folder import read_running

TIMEOUT_S = 5.0
TOKEN_VARIABLE = "STRANGLER_TOKEN"  # noqa: S105 - the name of a variable

config_option = click.option(
    "-c", "--config", type=click.Path(path_type=Path), default="routes.yaml", show_default=True, help="The routes."
)
admin_option = click.option(
    "--admin", metavar="URL", help="The admin listener, if routes.yaml does not tell: http://127.0.0.1:8081"
)


@dataclass(frozen=True, slots=True)
class Admin:
    """Where the admin listener is, and what opens it."""

    authority: str
    token: str | None

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer. Raises click.ClickException if there is none, or it is a refusal."""
        status, content = self._exchange(method, path, body)
        if status >= 400:
            raise self._refused(content)
        return content

    def look(self, path: str) -> tuple[int, Any]:
        """Status and decoded answer of a GET; 404 is an answer, too. Raises like `ask` for any other refusal."""
        status, content = self._exchange("GET", path, None)
        if status >= 400 and status != 404:
            raise self._refused(content)
        return status, content

    def _exchange(self, method: str, path: str, body: Any) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        payload = None
        if body is not None:
            payload = msgspec.json.encode(body)
            headers["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self.authority, timeout=TIMEOUT_S)
        try:
            connection.request(method, path, payload, headers)
            answer = connection.getresponse()
            return answer.status, msgspec.json.decode(answer.read())
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise click.ClickException(
                f"no proxy answers at {self.authority} ({reason}); is `strangler serve` running?"
            ) from error
        finally:
            connection.close()

    def _refused(self, content: Any) -> click.ClickException:
        return click.ClickException(f"the proxy at {self.authority} refuses: {content['detail']}")


def find_admin(config: Path, url: str | None) -> Admin:
    """The admin listener named by `url`, else by routes.yaml; with a routes.yaml that is broken at the moment, by the
    state folder of its default name. The token is that of routes.yaml, else of the environment."""
    settings = load(config, os.environ).settings
    token = settings.admin.token if settings else os.environ.get(TOKEN_VARIABLE)
    if url is not None:
        return Admin(urlsplit(url).netloc or url, token)
    running = read_running(Path(settings.state if settings else ".strangler"))
    if running is not None:
        return Admin(running.admin, token)
    if settings is None:
        raise click.ClickException(f"{config} cannot be loaded (see `strangler check`); name the proxy with --admin")
    if settings.admin.listen.port == 0:
        raise click.ClickException(f"no proxy runs on the state folder {settings.state}: see `strangler serve`")
    return Admin(str(settings.admin.listen), token)
