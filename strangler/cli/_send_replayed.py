"""The findings of a replay on their way to the running proxy: in parts, and again while it is busy."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

import msgspec

from strangler.cli._admin import Admin
from strangler.cli._admin_errors import BusyError
from strangler.core.documents import MAX_FINDINGS, MAX_REPLAY_BYTES, ReplaysDocument
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.replayed import encoded

MAX_TRIES: Final = 60
"""The most attempts at one part while the proxy is busy."""
_PAUSE_S: Final = 1.0
_TIMEOUT_S: Final = 30.0
_PART_BYTES: Final = MAX_REPLAY_BYTES - 64 * 1024
"""The bytes of findings in a part: the rest of the body is smaller than what is left."""


def send_replayed(
    admin: Admin, findings: Sequence[Finding], run: str, actor: str, pause: Callable[[float], None] = time.sleep
) -> int:
    """Send findings to the admin listener. Return how many the proxy has stored. Raises click.ClickException."""
    patient = replace(admin, timeout_s=_TIMEOUT_S)
    return sum(_send(patient, {"who": actor, "run": run, "findings": part}, pause) for part in parts(findings))


def parts(findings: Iterable[Finding]) -> Iterator[list[msgspec.Raw]]:
    """Yield findings as JSON, at most `MAX_FINDINGS` and about `MAX_REPLAY_BYTES` at once."""
    part: list[msgspec.Raw] = []
    size = 0
    for finding in findings:
        content = msgspec.json.encode(encoded(finding))
        if part and (len(part) == MAX_FINDINGS or size + len(content) >= _PART_BYTES):
            yield part
            part, size = [], 0
        part.append(msgspec.Raw(content))
        size += len(content) + 1
    if part:
        yield part


def _send(admin: Admin, body: object, pause: Callable[[float], None]) -> int:
    for _ in range(MAX_TRIES - 1):
        try:
            return admin.ask("POST", "/api/replays", ReplaysDocument, body).stored
        except BusyError:
            pause(_PAUSE_S)
    return admin.ask("POST", "/api/replays", ReplaysDocument, body).stored
