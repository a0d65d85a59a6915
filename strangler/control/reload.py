"""Noticing that routes.yaml has changed, and putting it in force if it is good.

A bad file changes nothing: the settings that were in force stay, and the problems are told until the file is good.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import structlog
import watchfiles

from strangler.config.document import MAX_BYTES
from strangler.config.load import load
from strangler.core.settings import Settings
from strangler.wire.logs import utc_now
from strangler.wire.messages import decode_settings, encode_settings

POLL_EVERY_S = 1.0  # for what the system does not tell: network file systems, a file mounted by itself
SETTLE_S = 0.05  # the content must stay the same this long: an editor writes in pieces
MAX_SETTLE_S = 2.0
ABSENT_S = 1.0  # the file may be gone this long: some editors remove it before they write it anew

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class InForce:
    """The settings that workers follow, and what became of the latest file."""

    settings: Settings
    encoded: bytes
    generation: int
    since: str
    problems: tuple[str, ...] = ()  # of the latest file; not empty: it was rejected
    warnings: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()  # keys that the file has changed and that only a restart changes


class ReloadState:
    """Owns what is in force. `adopt` is called with each new one, before anything else can happen.

    `rejected` is called with each file that is bad.

    `changes` yields when something has changed in one of these folders; it may raise OSError or RuntimeError.
    """

    def __init__(
        self,
        path: Path,
        environ: Mapping[str, str],
        first: Settings,
        in_force: InForce,
        adopt: Callable[[InForce], None],
        changes: Callable[[list[Path]], AsyncIterator[object]] | None = None,
        rejected: Callable[[InForce], None] = lambda _: None,
    ) -> None:
        self.in_force = in_force
        self._changes = changes or _changes
        self._path = path
        self._environ = environ
        self.first = first
        self._adopt = adopt
        self._rejected = rejected
        self._hint = asyncio.Event()
        self._is_forced = True  # the first look is for problems and warnings, even if nothing changed
        self._seen: bytes | None = None
        self.text: str | None = None
        """The file that is in force; None if it has been bad since control began."""
        self._stamp = _stamp(path)

    @property
    def path(self) -> Path:
        """routes.yaml."""
        return self._path

    @property
    def environ(self) -> Mapping[str, str]:
        """Where its variables come from."""
        return self._environ

    def ask(self) -> None:
        """Reload, whether or not the file has changed."""
        self._is_forced = True
        self._hint.set()

    async def run(self) -> None:
        """Watch and reload until cancelled."""
        await self._look(is_first=True)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            group.create_task(self._poll())
            while True:
                await self._hint.wait()
                self._hint.clear()
                await self._look()

    async def _look(self, is_first: bool = False) -> None:
        is_forced, self._is_forced = self._is_forced, False
        self._stamp = _stamp(self._path)
        digest = await self._settled_digest()
        if digest == self._seen and not is_forced:
            return
        self._seen = digest
        try:
            found = await asyncio.to_thread(_load, self._path, self._environ)
        except Exception as error:  # a bug of ours must not make this process die again and again over one file
            log.exception("routes.load_failed")
            self._reject((f"{self._path}: cannot be loaded: {error!r}",))
            return
        if found.encoded is None:
            self._reject(found.problems)
        else:
            settings = self.in_force.settings
            if found.encoded != self.in_force.encoded:
                settings = await asyncio.to_thread(decode_settings, found.encoded)
            self._accept(found.encoded, settings, found.warnings, is_forced and not is_first)
            self.text = await asyncio.to_thread(read_text, self._path)

    def _reject(self, problems: tuple[str, ...]) -> None:
        self.in_force = replace(self.in_force, problems=problems)
        log.error("routes.rejected", problems=len(problems), generation=self.in_force.generation)
        for problem in problems:
            log.error("routes.problem", problem=problem)
        self._rejected(self.in_force)

    def _accept(self, encoded: bytes, settings: Settings, warnings: tuple[str, ...], is_forced: bool) -> None:
        before = self.in_force
        is_new = is_forced or encoded != before.encoded
        self.in_force = InForce(
            settings=settings,
            encoded=encoded,
            generation=before.generation + is_new,
            since=utc_now() if is_new else before.since,
            warnings=warnings,
            needs_restart=needs_restart(self.first, settings),
        )
        self._tell(before)
        if is_new:
            self._adopt(self.in_force)

    def _tell(self, before: InForce) -> None:
        now = self.in_force
        if now.generation != before.generation:
            log.info("routes.reloaded", generation=now.generation, routes=len(now.settings.routes))
        elif before.problems:
            log.info("routes.restored", generation=now.generation)
        for warning in now.warnings:
            if warning not in before.warnings:
                log.warning("routes.warning", warning=warning)
        if now.needs_restart and now.needs_restart != before.needs_restart:
            log.warning("routes.needs_restart", keys=now.needs_restart)

    async def _settled_digest(self) -> bytes | None:
        """The hash of the file's content once it rests; None if there is no file."""
        digest = await asyncio.to_thread(_digest, self._path)
        waited_s = 0.0
        while waited_s < MAX_SETTLE_S:
            await asyncio.sleep(SETTLE_S)
            waited_s += SETTLE_S
            before, digest = digest, await asyncio.to_thread(_digest, self._path)
            is_there = digest not in (None, _EMPTY) or waited_s >= ABSENT_S
            if is_there and digest == before:
                break
        return digest

    async def _watch(self) -> None:
        """Have the system tell of changes; where it cannot (no inotify left), polling has to do."""
        try:
            while True:
                folders = _folders(self._path)
                async for _ in self._changes(folders):
                    self._hint_if_changed()
                    if _folders(self._path) != folders:
                        break
        except (OSError, RuntimeError) as error:
            log.warning("routes.watch_failed", reason=str(error), instead=f"polling every {POLL_EVERY_S:g} s")

    async def _poll(self) -> None:
        while True:
            await asyncio.sleep(POLL_EVERY_S)
            self._hint_if_changed()

    def _hint_if_changed(self) -> None:
        if _stamp(self._path) != self._stamp:
            self._hint.set()


@dataclass(frozen=True, slots=True)
class _Found:
    """What came of a file, without anything that was read: settings share texts with the tree of values, and whoever
    keeps them holds on to its memory, 90 MB with 10,000 routes."""

    encoded: bytes | None
    problems: tuple[str, ...]
    warnings: tuple[str, ...]


def _load(path: Path, environ: Mapping[str, str]) -> _Found:
    loaded = load(path, environ)
    return _Found(
        None if loaded.settings is None else encode_settings(loaded.settings),
        tuple(map(str, loaded.problems)),
        tuple(map(str, loaded.warnings)),
    )


def _changes(folders: list[Path]) -> AsyncIterator[object]:
    return watchfiles.awatch(*folders, watch_filter=None, debounce=200, step=20, recursive=False)


def needs_restart(first: Settings, now: Settings) -> tuple[str, ...]:
    """The keys that only a restart puts in force, if they differ from those the supervisor began with."""
    pairs = {
        "listen": (first.listen, now.listen),
        "admin.listen": (first.admin.listen, now.admin.listen),
        "state": (first.state, now.state),
    }
    return tuple(key for key, (one, other) in pairs.items() if one != other)


_Stamp = tuple[int, int, int, int]
_EMPTY = hashlib.sha256(b"").digest()


def _stamp(path: Path) -> _Stamp | None:
    """Differs if the file was replaced or written to. None: there is no file."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size


def read_text(path: Path) -> str | None:
    """The file as far as it can be shown; None if there is none."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return None


def _digest(path: Path) -> bytes | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").digest()
    except OSError:
        return None


def _folders(path: Path) -> list[Path]:
    """Where a change shows: the folder of the name, and of the file if the name is a symbolic link.

    Kubernetes swaps `..data`, a link beside routes.yaml that its path goes through.
    """
    return sorted({path.absolute().parent, path.resolve().parent})
