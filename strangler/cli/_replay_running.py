"""A replay while it runs: the sender, the store of the run, the inbox and the progress, and how signals end it."""

import asyncio
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import uvloop
from rich.console import Console

from strangler.cli._config import failed
from strangler.cli._replay_inbox import InboxBatches
from strangler.cli._replay_progress import progress_visible
from strangler.cli._terminal import plain
from strangler.core.documents import ReplayInbox
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.settings import Settings
from strangler.recordings.recording_reader import Recording, RecordingError
from strangler.replay.judged_run import JudgedRun
from strangler.replay.progress import ReplayProgress
from strangler.replay.replay_settings import ReplaySettings
from strangler.replay.replayed_finding import ReplayedFinding
from strangler.replay.run import ReplayError, run_replay
from strangler.replay.self_run import SelfRun
from strangler.store.evidence.findings import Finding

_SIGNALS: Final = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


@dataclass(frozen=True, slots=True)
class Run:
    """The parts of one replay. `store` puts findings into the inbox; None: none are put there."""

    settings: Settings
    how: ReplaySettings
    key: bytes = field(repr=False)
    judged: JudgedRun
    itself: SelfRun | None
    """With `--self`."""
    store: Callable[[Sequence[Finding]], object] | None
    tree: TemplateTreeState | None
    """The ledger's, by which endpoints have the names that the inbox has."""
    progress: ReplayProgress = field(default_factory=ReplayProgress)


def run_to_the_end(run: Run, recording: Recording, console: Console) -> ReplayInbox | None:
    """Replay until the recording ends or a signal comes, and return what was put into the inbox.

    End the program if the replay cannot begin. `console`: that of standard error.
    """
    try:
        return uvloop.run(_run(run, recording, console))
    except ReplayError as error:
        raise failed(plain(str(error))) from None


async def _run(run: Run, recording: Recording, console: Console) -> ReplayInbox | None:
    if run.store is None:
        async with progress_visible(run.progress, console):
            await _send(run, recording, None, console)
        return None
    inbox = InboxBatches(run.store, lambda text: console.print(text, markup=False, soft_wrap=True))
    async with progress_visible(run.progress, console):
        storing = asyncio.create_task(inbox.run())
        try:
            await _send(run, recording, inbox, console)
        finally:
            inbox.end()
            await storing
    return inbox.result()


async def _send(run: Run, recording: Recording, inbox: InboxBatches | None, console: Console) -> None:
    """Send the recording, until a signal ends it."""

    def keep(item: ReplayedFinding) -> None:
        if run.itself is not None:
            run.itself.add(item)
            return
        run.judged.add(item.finding)
        if inbox is not None and item.is_for_inbox:
            inbox.add(item.finding)

    replaying = run_replay(recording, run.settings, run.how, run.key, run.progress, keep, run.tree)
    sending, loop = asyncio.create_task(replaying), asyncio.get_running_loop()
    signals: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        signals.append(number)
        if len(signals) > 1:
            _end_at_once(console)
        run.progress.stopped = run.progress.stopped or _SIGNALS[number]
        console.print("ending with what was found; once more ends it at once", soft_wrap=True)
        sending.cancel()

    for number in _SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        await sending
    except asyncio.CancelledError:
        if not signals:
            raise
    except RecordingError as error:
        run.progress.stopped = str(error)


def _end_at_once(console: Console) -> None:
    """End the program with a cursor and nothing else: a second signal has come."""
    console.show_cursor()
    os._exit(1)
