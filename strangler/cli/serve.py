"""`strangler serve`: run the proxy."""

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import click

from strangler.cli._config import BAD_INPUT, config_option, only_a_file, settings_of
from strangler.cli._envoy_choice import check_choice, chosen, envoy_options
from strangler.cli._shared_start import starting
from strangler.core.first_loads import with_first_loads
from strangler.core.rollout_percents import with_percents
from strangler.core.settings import Settings
from strangler.ipc.messages import encode_settings
from strangler.ipc.process import how_it_ended
from strangler.ipc.start import EnvoyChoice
from strangler.state import retire_file
from strangler.state.starting_switch import take_turns
from strangler.state.store_secret import StoreSecretError, store_secret
from strangler.unnamed_files import unnamed_file, write_file


@click.command()
@config_option
@envoy_options
def command(config: Path, envoy_binary: Path | None, control_only: bool, envoy_files: Path | None) -> None:
    """Run the proxy until SIGTERM or Ctrl-C.

    routes.yaml is loaded again when it changes, and on SIGHUP; a bad file changes nothing. The first SIGTERM or Ctrl-C
    lets requests in flight finish, the second ends at once. `strangler restart` starts a new version without a gap.

    With `engine: envoy` Envoy takes the requests. It runs as a child of this program, or with --control-only beside it.
    """
    run_proxy(config, envoy=chosen(envoy_binary, control_only, envoy_files))


def run_proxy(
    config: Path,
    adapt: Callable[[Settings], Settings] = lambda settings: settings,
    envoy: EnvoyChoice = EnvoyChoice(),  # noqa: B008 - it is frozen
) -> NoReturn:
    """Run until the end, and exit with its status. `adapt` changes what the file says."""
    only_a_file(config)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # logrotate may send it; our children inherit this
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # until the supervisor takes it
    settings_fd = _load_apart(config, adapt, envoy)
    sys.modules["rich"] = None  # type: ignore[assignment]  # structlog does not need it here: saves 5 MB
    from strangler.supervisor import SupervisorError, run

    os.umask(0o077)  # only the proxy's user may read what it writes, whatever the state folder's mode
    try:
        status = run(config, settings_fd, envoy=envoy)
    except SupervisorError as error:
        raise click.ClickException(str(error)) from None
    raise SystemExit(status)


def _load_apart(config: Path, adapt: Callable[[Settings], Settings], envoy: EnvoyChoice) -> int:
    """Return a file without a name that holds the encoded settings. End with status 2 if there are problems.

    A process of its own loads them and ends: the memory that this takes, 20 MB for libraries and 100 MB for 10,000
    routes, would otherwise stay with the supervisor as long as it lives.
    """
    settings_fd = unnamed_file(b"")
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # if our parent ignored it, there would be no child to wait for
    child = os.fork()
    if child == 0:
        _load_and_end(config, settings_fd, adapt, envoy)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if status < 0:
        raise click.ClickException(f"{config}: loading it was {how_it_ended(status)}")
    if status:
        raise SystemExit(status)
    return settings_fd


def _check_secret(config: Path, settings: Settings) -> None:
    """End the program if keys could not be sealed in the store that several nodes share."""
    try:
        if settings.store is not None:
            store_secret(os.environ)
    except StoreSecretError as error:
        click.echo(f"{config}: store: {error}", err=True)
        raise SystemExit from None


def _load_and_end(
    config: Path, settings_fd: int, adapt: Callable[[Settings], Settings], envoy: EnvoyChoice
) -> NoReturn:
    status = 1
    try:
        settings = adapt(settings_of(config, with_certificates=True))
        _check_secret(config, settings)
        check_choice(settings, envoy)
        folder, start = Path(settings.state), starting(settings)
        settings = with_first_loads(settings, retire_file.read(folder), time.time())
        take_turns(folder, start.turns)
        write_file(settings_fd, encode_settings(with_percents(settings, start.percents)))
        status = 0
    except SystemExit:
        status = BAD_INPUT
    except click.ClickException as error:
        error.show()
    except KeyboardInterrupt:
        pass  # the command got it too, and reports it
    except BaseException:  # whatever it is, this copy of the command must not go on
        traceback.print_exc()
    finally:
        with suppress(Exception):  # standard error may be closed
            sys.stderr.flush()
        os._exit(status)
