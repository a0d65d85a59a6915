"""Recording a running proxy into a file, over broken connections, until it is to end."""

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click
from msgspec.structs import replace

from strangler.cli._admin import Admin
from strangler.cli._json import json_text
from strangler.cli._moves_document import counted
from strangler.cli._record_progress import LiveCountsState, LiveSummary, ProgressLine, dropped_text
from strangler.cli._record_stream import BrokenStreamError, RecordingStream
from strangler.cli._record_text import secrets_text, summary_lines
from strangler.cli._terminal import plain
from strangler.core.documents import RecordingProgress, RecordingRequest
from strangler.recordings.recording_reader import RecordingError
from strangler.recordings.recording_writer import RecordingWriter

_PAUSES_S: Final = (0.2, 0.5, 1.0, 2.0)
"""The pauses before the proxy is tried again; the last one repeats."""
_FRAME_S: Final = 5.0
"""How much of a recording a full disk, or a killed command, may cost."""
_LAST_S: Final = 0.5
"""How long pairs that were served before Ctrl-C may take to arrive."""
_LEAST_BYTES: Final = 1 << 20
_AGAIN: Final = "shutdown"
"""How a recording ends whose proxy restarts: it goes on with the next."""
_HASHED: Final = "settings"
_IS_HASHED: Final = (
    "`evidence: {values: hashed}` is in force now and lets no value be kept: the proxy ended the recording"
)


def record_live(find: Callable[[], Admin], wanted: RecordingRequest, out: Path, *, force: bool, as_json: bool) -> None:
    """Record until the time or the size is reached, or until Ctrl-C or SIGTERM; then say what is in the file."""
    if not force and os.path.lexists(out):
        raise click.ClickException(plain(f"{out} exists: name another file, or replace it with --force"))
    with _ended_by_signals() as ended:
        stream = RecordingStream(find(), wanted)
        try:
            with stream, RecordingWriter(out, stream.header, force=force, keeps=True) as writer:
                summary, why = _LiveRecording(find, wanted, stream, writer, ended).run(str(out))
                if not summary.pairs:
                    writer.discard()
        except RecordingError as error:
            raise click.ClickException(plain(str(error))) from None
    if not wanted.redact and summary.pairs:
        click.echo(plain(secrets_text(out)), err=True)
    _print(summary, as_json=as_json)
    if why:
        raise click.ClickException(plain(why))
    if not summary.pairs:
        raise click.ClickException(plain(f"no request was recorded; {out} was not written"))


@contextmanager
def _ended_by_signals() -> Iterator[threading.Event]:
    """Yield an event that Ctrl-C and SIGTERM set: the file must be whole."""
    ended = threading.Event()
    former = {number: signal.signal(number, lambda *_: ended.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield ended
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


class _LiveRecording:
    """One recording, over all its connections."""

    def __init__(
        self,
        find: Callable[[], Admin],
        wanted: RecordingRequest,
        first: RecordingStream,
        writer: RecordingWriter,
        ended: threading.Event,
    ) -> None:
        self._find = find
        self._wanted = wanted
        self._stream: RecordingStream | None = first
        self._header = first.header
        self._writer = writer
        self._ended = ended
        self._state = LiveCountsState(wanted.for_s)
        self._framed = time.monotonic()
        self._ends_at: float | None = None

    def run(self, file: str) -> tuple[LiveSummary, str]:
        """Record; return the account, and what went wrong, if anything did."""
        why = ""
        with ProgressLine() as progress:
            while self._stream is not None:
                with self._stream as stream:
                    try:
                        broken = self._take(stream, progress)
                    except click.ClickException as error:
                        why = error.message
                        break
                self._stream = None
                if broken is not None:
                    self._stream, why = self._connected_again(broken, progress)
        return self._state.summary(file, self._header), why

    def _take(self, stream: RecordingStream, progress: ProgressLine) -> str | None:
        """Write what comes. Return why the connection broke; None if the recording has ended. Raises
        click.ClickException if the proxy wants no more of it."""
        try:
            for size, item in stream:
                if isinstance(item, RecordingProgress):
                    self._state.adopt(item)
                    self._end_frame()
                    progress.draw(self._state.line())
                    if item.ended == _AGAIN:
                        return "it shut down"
                    if item.ended == _HASHED:
                        raise click.ClickException(_IS_HASHED)
                    if item.ended:
                        return None
                    if self._has_all():
                        return None
                elif self._writer.write(item):
                    self._state.count(item, size)
        except BrokenStreamError as error:
            return None if self._ended.is_set() else str(error)
        return None

    def _has_all(self) -> bool:
        """Return whether it is to end, and what was served until then has come."""
        if not self._ended.is_set():
            return False
        self._ends_at = self._ends_at or time.monotonic() + _LAST_S
        return time.monotonic() >= self._ends_at

    def _end_frame(self) -> None:
        if time.monotonic() - self._framed >= _FRAME_S:
            self._framed = time.monotonic()
            self._writer.end_frame()

    def _connected_again(self, broken: str, progress: ProgressLine) -> tuple[RecordingStream | None, str]:
        """Return a new connection, and say how long there was none; without one if the recording is over meanwhile."""
        state, since, tries = self._state, time.monotonic(), 0
        state.begin_gap()
        self._writer.end_frame()
        click.echo(plain(f"the connection to the proxy broke ({broken}); trying again"), err=True)
        found: RecordingStream | None = None
        why = ""
        while found is None and not why and state.left_s > 0 and self._left_bytes() >= _LEAST_BYTES:
            if self._ended.wait(min(_PAUSES_S[min(tries, len(_PAUSES_S) - 1)], max(0.0, state.left_s))):
                break
            tries += 1
            try:
                found, why = self._again()
            except click.ClickException as error:
                progress.draw(f"{state.line()}; away: {plain(error.message)}")
        gap_s = time.monotonic() - since
        state.gap_s += gap_s
        if found is not None:
            click.echo(f"recording again after {gap_s:.1f} s; what was served between is not in the file", err=True)
        return found, why

    def _again(self) -> tuple[RecordingStream | None, str]:
        """Begin a connection that goes on with the recording. Raises click.ClickException while that cannot be."""
        left_s = self._state.left_s
        if left_s <= 0:
            return None, ""
        wanted = replace(self._wanted, for_s=left_s, max_bytes=self._left_bytes(), goes_on=self._header.made)
        found = RecordingStream(self._find(), wanted)
        if found.header.key == self._header.key:
            return found, ""
        found.close()
        return (
            None,
            "the proxy has another redaction key now, which would not fit: the file ends here",
        )

    def _left_bytes(self) -> int:
        return self._wanted.max_bytes - self._state.bytes


def _print(summary: LiveSummary, *, as_json: bool) -> None:
    if as_json:
        click.echo(json_text(summary))
        return
    for line in summary_lines(summary):
        click.echo(plain(line))
    if summary.dropped:
        click.echo(dropped_text(summary.dropped))
    if summary.gaps:
        click.echo(f"{counted(summary.gaps, 'gap')} of {summary.gap_s:g} s in all, without a connection to the proxy")
