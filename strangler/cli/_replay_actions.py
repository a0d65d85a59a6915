"""`strangler replay`: what happens from the checked options to the exit code."""

import os
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path

import click

from strangler.cli._acting_user import acting_user
from strangler.cli._admin import NamedAdmin
from strangler.cli._config import failed, settings_of
from strangler.cli._evidence import Evidence, find_evidence
from strangler.cli._json import json_text
from strangler.cli._replay_options import GivenOptions, checked
from strangler.cli._replay_plan import plan_lines
from strangler.cli._replay_result import result_of
from strangler.cli._replay_running import Run, run_to_the_end
from strangler.cli._replay_self import print_self
from strangler.cli._replay_text import print_result
from strangler.cli._shared_redaction import shared_redaction_key
from strangler.cli._terminal import console as terminal
from strangler.cli._terminal import log_on_stderr, plain
from strangler.config.replace import put_content
from strangler.core.documents import ReplayDocument
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.settings import Settings
from strangler.recordings.convert import Redaction
from strangler.recordings.recording_reader import Recording, RecordingError, open_recording
from strangler.replay.destination import ReplayError
from strangler.replay.judged_run import JudgedRun
from strangler.replay.junit import junit_xml
from strangler.replay.replay_settings import PROXY, ReplaySettings
from strangler.replay.self_run import SelfRun
from strangler.state.files import REDACTION_KEY, kept_key
from strangler.store import stored_ledger
from strangler.store.evidence.access import NoEvidenceError, location_of, reader
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.ulid import ulid
from strangler.times import utc_day

Store = Callable[[Sequence[Finding]], object]


def replay(path: Path, config: Path, admin: NamedAdmin | None, options: GivenOptions, *, as_json: bool) -> None:
    """Replay a recording, print the result and end the program."""
    settings, fail_on = settings_of(config), options.fail_on or "gate"
    how = checked(options, config, settings)
    settings = _with_files(settings, how)
    with _opened(path) as recording:
        store = None if options.no_inbox or how.is_self else _inbox(config, admin, settings)
        key = _key(settings, is_kept=store is not None)
        _print_plan(plan_lines(path, recording.header, settings, how, key))
        with ExitStack() as stack:
            stack.enter_context(log_on_stderr())
            judged = stack.enter_context(JudgedRun(settings, utc_day(), is_timed=how.against == "legacy"))
            itself = None
            if how.is_self:
                itself = SelfRun(judged, stack.enter_context(JudgedRun(settings, utc_day(), is_timed=False)))
            run = Run(settings, how, key, judged, itself, store, _tree(settings))
            at, began = time.time(), time.monotonic()
            inbox = run_to_the_end(run, recording, terminal(stderr=True))
            document = result_of(run, str(path), at, time.monotonic() - began, fail_on, inbox)
    if as_json:
        click.echo(json_text(document))
    else:
        print_self(document) if how.is_self else print_result(document)
    if options.junit is not None:
        _write_junit(options.junit, document, judges_gates=fail_on == "gate")
    raise SystemExit(0 if document.passed else 1)


def _opened(path: Path) -> Recording:
    if str(path) == "-":
        raise failed(
            "-: how much of a recording is replayed is known of a file alone; write it into one, and name that"
        )
    try:
        return open_recording(path)
    except RecordingError as error:
        raise failed(plain(str(error))) from None


def _print_plan(lines: Iterable[str]) -> None:
    try:
        text = "\n".join(lines)
    except ReplayError as error:
        raise failed(plain(str(error))) from None
    click.echo(plain(text), err=True)


def _with_files(settings: Settings, how: ReplaySettings) -> Settings:
    """Return the settings with the certificates that a replay needs. The keys of listeners are for the proxy's user."""
    tls = [upstream.tls for upstream in settings.upstreams.values()]
    names = {name for each in tls for name in (each.ca, each.cert, each.key) if name is not None}
    listener = settings.listeners[0].tls
    if how.to == PROXY and listener is not None:
        names |= {certificate.cert for certificate in listener.certificates}
    files: dict[str, bytes] = {}
    for name in sorted(names):
        try:
            files[name] = Path(name).read_bytes()
        except OSError as error:
            raise failed(
                f"{name} cannot be read: {error.strerror or error}; `strangler check` names its place"
            ) from None
    return replace(settings, files=files)


def _inbox(config: Path, admin: NamedAdmin | None, settings: Settings) -> Store:
    """Return what stores findings. End the program if nothing can, before anything is sent."""
    try:
        evidence: Evidence = find_evidence(config, admin, settings)
        store = partial(evidence.add_replayed, run=ulid(time.time()), actor=acting_user())
        store([])
        evidence.releases(None)  # of a proxy, that it is there
    except click.ClickException as error:
        way_out = "the findings could not be put into the inbox; --no-inbox replays without it"
        raise failed(plain(f"{error.format_message()}\nnothing was sent: {way_out}")) from None
    return store


def _key(settings: Settings, *, is_kept: bool) -> bytes:
    """Return the key of redaction: that of the state folder if there is one, or is to be (`is_kept`).

    Several nodes have one, without which nothing can be stored (`is_kept`).
    """
    if is_kept and (shared := shared_redaction_key(settings)) is not None:
        return shared
    folder = Path(settings.state)
    try:
        if is_kept and folder.is_dir() and os.access(folder, os.W_OK):
            return kept_key(folder / REDACTION_KEY)
        return Redaction.of(folder).key
    except PermissionError:  # a proxy's, of another user: what is stored there is redacted by a key of our own
        return Redaction.of(None).key
    except OSError as error:
        raise failed(plain(f"{folder}: the redaction key cannot be read: {error.strerror or error}")) from None


def _tree(settings: Settings) -> TemplateTreeState | None:
    """Return the ledger's tree, so that endpoints have the names of the inbox; None if there is no ledger."""
    if settings.ledger is None:
        return None
    try:
        with reader(location_of(settings)) as connection:
            return stored_ledger.load(connection).tree
    except NoEvidenceError:
        return None


def _write_junit(file: Path, document: ReplayDocument, *, judges_gates: bool) -> None:
    try:
        put_content(file, junit_xml(document, judges_gates=judges_gates))
    except OSError as error:
        raise click.ClickException(plain(f"--junit: {file} cannot be written: {error.strerror or error}")) from None
