"""The reload: it notices that routes.yaml has changed, and puts it in force if it is valid.

An invalid file changes nothing: the settings in force stay, and the problems are shown until the file is valid.

A file is loaded once its content stays the same and no process has it open for writing. If routes would disappear, or
the file ends earlier than before, it is read again after a pause.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog

from strangler.config import load, mounts
from strangler.config.include import find_files
from strangler.config.pem_files import PemSource
from strangler.config.reader import MAX_BYTES
from strangler.config.receiver import receiver_only
from strangler.control.content import Content, Contents, is_cut, read_contents, stamps
from strangler.control.watching import Change, changes
from strangler.core.first_loads import with_first_loads
from strangler.core.listener_settings import Address
from strangler.core.settings import Settings
from strangler.ipc.messages import decode_settings, encode_settings
from strangler.times import utc_now

POLL_EVERY_S = 0.8  # for changes without notification: network file systems, a file mounted by itself
SETTLE_S = 0.05  # the content must stay the same this long: an editor writes in pieces
MAX_SETTLE_S = 2.0
ABSENT_S = 1.0  # the file may be gone this long: some editors remove it before they write it again
DOUBT_S = 1.0  # a file that may be partly written must stay the same this long
MAX_OPEN_S = 10.0  # a file that is open for writing must stay the same this long
MAX_WRITE_S = 30.0  # after this long it is loaded anyway
UNKNOWN = "unknown"
"""The digest of a file in force that control has not seen."""
REPORT_AFTER_S = 1.0  # a longer wait is logged

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class InForce:
    """The settings in force, and the problems of the latest file."""

    settings: Settings
    encoded: bytes = field(repr=False)  # with the keys of certificates
    generation: int
    since: str
    problems: tuple[str, ...] = ()  # of the latest file; not empty: it was rejected
    warnings: tuple[str, ...] = ()
    needs_restart: tuple[str, ...] = ()  # changed keys that only a restart puts in force
    is_move: bool = False
    """Whether the file is that of the generation before, and only rollouts have moved."""


class Follower(Protocol):
    """A part of the process that follows the settings in force."""

    def adopt(self, in_force: InForce) -> None: ...


class ReloadState:
    """Owns the settings in force. The followers adopt new ones, in their order, before anything else can happen.

    `rejected` is called for each invalid file. `first_loads` returns when the `retire` of each route was first loaded.
    `loaded` is called with the digest of each file that is put in force, and with `UNKNOWN` if the first is invalid.
    `effective` puts the percents of rollouts into the settings of a file, which do not have them. It is called in the
    same step as the followers, so that no move is lost that is made while a file is being loaded. `refusal` returns why
    a valid file cannot be served all the same; it is called in a thread, and may take seconds.

    `changes` yields changes of the file and of what its patterns match, and ends when the folders are replaced; it may
    raise OSError.
    """

    def __init__(
        self,
        path: Path,
        environ: Mapping[str, str],
        first: Settings,
        in_force: InForce,
        followers: Sequence[Follower],
        changes: Callable[[Path, tuple[str, ...]], AsyncIterator[Change]] = changes,
        rejected: Callable[[InForce], None] = lambda _: None,
        first_loads: Callable[[], Mapping[str, int]] = dict,
        effective: Callable[[Settings], Settings] = lambda settings: settings,
        loaded: Callable[[str], None] = lambda _: None,
        refusal: Callable[[Settings], str | None] = lambda _: None,
    ) -> None:
        self.in_force = in_force
        self._changes = changes
        self._path = path
        self._environ = environ
        self.first = first
        self._followers = followers
        self._rejected = rejected
        self._first_loads = first_loads
        self._effective = effective
        self._loaded = loaded
        self._refusal = refusal
        self._file = _File(in_force.settings, in_force.encoded)
        self._hint = asyncio.Event()
        self._is_forced = True  # the first load is for problems and warnings, even if nothing changed
        self._include: tuple[str, ...] = ()  # the patterns of the latest file that could be read
        self._pem: tuple[Path, ...] = ()  # the certificate files that it names
        self._seen = Contents().key
        self._seen_files: dict[Path, tuple[int, int] | None] = {}
        self.texts: Mapping[Path, str] = {}
        """The files in force, routes.yaml first; empty if they have been invalid since control started."""
        self._stamps = stamps(path, ())
        self._mounted = mounts.mounted_file(path)
        self._is_unclosed = False  # a write was notified, and the file was not closed yet

    @property
    def path(self) -> Path:
        """The path of routes.yaml."""
        return self._path

    def paths(self) -> list[Path]:
        """Return routes.yaml and the files that it includes at the moment."""
        return [self._path, *find_files(self._path, self._include)]

    @property
    def environ(self) -> Mapping[str, str]:
        """The environment that its variables come from."""
        return self._environ

    def ask(self) -> None:
        """Reload, whether or not the file has changed."""
        self._is_forced = True
        self._hint.set()

    async def run(self) -> None:
        """Watch and reload until cancelled."""
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch())
            await self._look(is_first=True)
            group.create_task(self._poll())
            watched: tuple[str, ...] = ()
            while True:
                if self._include != watched:
                    watched = self._include
                    watching.cancel()
                    watching = group.create_task(self._watch())
                await self._hint.wait()
                self._hint.clear()
                await self._look()

    async def _look(self, is_first: bool = False) -> None:
        is_forced, self._is_forced = self._is_forced, False
        self._stamps = stamps(self._path, self._include)
        content = await self._settled(SETTLE_S)
        if content.key == self._seen and not is_forced:
            return
        is_requested = is_forced and not is_first
        try:
            content, found = await self._found(content, is_requested)
        except Exception as error:  # a bug of ours must not make this process die again and again over one file
            self._seen = content.key
            log.exception("routes.load_failed")
            self._reject((f"{self._path}: cannot be loaded: {error!r}",))
            return
        self._seen = content.key
        self._seen_files = {path: file_content.file for path, file_content in self._by_path(content).items()}
        self._follow(found.include, found.pem_files)
        if found.encoded is None:
            self._reject(found.problems)
            return
        if found.encoded != self._file.encoded:
            self._file = _File(await asyncio.to_thread(decode_settings, found.encoded), found.encoded)
        self._accept(found.warnings, is_requested)
        self.texts = {path: file_content.text for path, file_content in self._by_path(content).items()}
        self._loaded(content.digest)

    def _by_path(self, contents: Contents) -> dict[Path, Content]:
        return {self._path: contents.main, **contents.included}

    def _follow(self, include: tuple[str, ...] | None, pem: tuple[Path, ...] | None) -> None:
        """Look again if other files are named, for the new ones may be being written."""
        wanted = self._include if include is None else include, self._pem if pem is None else pem
        if wanted != (self._include, self._pem):
            self._include, self._pem = wanted
            self._hint.set()

    async def _found(self, content: Contents, is_requested: bool) -> tuple[Contents, "_Found"]:
        """Load the content. A file that may be partly written must stay the same for a while, unless requested."""
        receiver = self.first.receiver if not self.first.workers else None
        only_receiver = None if receiver is None else receiver.listen
        before = _Before(
            self.in_force.settings, self.texts, self._seen_files, self._first_loads(), only_receiver, self._refusal
        )
        deadline = time.monotonic() + MAX_WRITE_S
        found = await asyncio.to_thread(_load, self._path, content, self._environ, before)
        while found.is_doubtful and not is_requested and not self._is_forced and time.monotonic() < deadline:
            last, content = content, await self._settled(DOUBT_S)
            if content.key == last.key:
                break
            found = await asyncio.to_thread(_load, self._path, content, self._environ, before)
        return content, found

    def _reject(self, problems: tuple[str, ...]) -> None:
        self.in_force = replace(self.in_force, problems=problems)
        log.error("routes.rejected", problems=len(problems), generation=self.in_force.generation)
        for problem in problems:
            log.error("routes.problem", problem=problem)
        if not self.texts:
            self._loaded(UNKNOWN)
        self._rejected(self.in_force)

    def _accept(self, warnings: tuple[str, ...], is_forced: bool) -> None:
        before, file = self.in_force, self._with_percents()
        is_new = is_forced or file.encoded != before.encoded
        self.in_force = InForce(
            settings=file.settings,
            encoded=file.encoded,
            generation=before.generation + is_new,
            since=utc_now() if is_new else before.since,
            warnings=warnings,
            needs_restart=needs_restart(self.first, file.settings),
        )
        self._publish(before)
        if is_new:
            self._lead()

    def _with_percents(self) -> "_File":
        file = self._file
        settings = self._effective(file.settings)
        return file if settings is file.settings else _File(settings, encode_settings(settings))

    def _lead(self) -> None:
        for follower in self._followers:
            follower.adopt(self.in_force)

    def put_percents(self) -> int:
        """Put the present percents of rollouts in force, by the file that is in force. Return the new generation."""
        before, file = self.in_force, self._with_percents()
        self.in_force = replace(
            before,
            settings=file.settings,
            encoded=file.encoded,
            generation=before.generation + 1,
            since=utc_now(),
            is_move=True,
        )
        log.info("routes.percents", generation=self.in_force.generation)
        self._lead()
        return self.in_force.generation

    def _publish(self, before: InForce) -> None:
        now = self.in_force
        if now.generation != before.generation:
            log.info("routes.reloaded", generation=now.generation, routes=len(now.settings.routes))
            replaced = [
                path for path, held in now.settings.files.items() if before.settings.files.get(path, held) != held
            ]
            if replaced:
                log.info("certificates.reloaded", files=replaced)
        elif before.problems:
            log.info("routes.restored", generation=now.generation)
        for warning in now.warnings:
            if warning not in before.warnings:
                log.warning("routes.warning", warning=warning)
        if now.needs_restart and now.needs_restart != before.needs_restart:
            log.warning("routes.needs_restart", keys=now.needs_restart)

    async def _settled(self, still_s: float) -> Contents:
        """Return the files once they have stayed the same this long and no process writes to them."""
        content = await self._read()
        began = still_since = time.monotonic()
        has_reported = False
        while True:
            await asyncio.sleep(SETTLE_S)
            before, content = content, await self._read()
            now = time.monotonic()
            if content.key != before.key:
                still_since = now
            is_open = self._is_being_written(content)
            if now - still_since >= _patience_s(content, is_open, still_s):
                return content
            if now - began >= (MAX_WRITE_S if is_open else MAX_SETTLE_S + still_s):
                return content
            if is_open and not has_reported and now - began >= REPORT_AFTER_S:
                has_reported = True
                log.info("routes.waiting", reason="a process has the file open for writing", most_s=MAX_WRITE_S)

    async def _read(self) -> Contents:
        return await asyncio.to_thread(read_contents, self._path, self._mounted, self._include, self._pem)

    def _is_being_written(self, content: Contents) -> bool:
        return self._is_unclosed if content.has_writer is None else content.has_writer

    async def _watch(self) -> None:
        """Wait for notifications of changes; without them (no inotify left) only polling is left."""
        try:
            while True:
                async for change in self._changes(self._path, self._include):
                    self._is_unclosed = change is Change.WRITTEN
                    if stamps(self._path, self._include) != self._stamps:
                        self._hint.set()
                self._hint.set()  # the folders were replaced
        except OSError as error:
            self._is_unclosed = False
            log.warning("routes.watch_failed", reason=str(error), instead=f"polling every {POLL_EVERY_S:g} s")

    async def _poll(self) -> None:
        """Compare the content itself: its size and dates may be unchanged."""
        while True:
            await asyncio.sleep(POLL_EVERY_S)
            found = await asyncio.to_thread(
                read_contents, self._path, self._mounted, self._include, self._pem, asks_for_writers=False
            )
            if found.key != self._seen:
                self._hint.set()


def _patience_s(content: Contents, is_open: bool, still_s: float) -> float:
    if not content.main.data or not all(each_content.data for each_content in content.included.values()):
        return max(ABSENT_S, still_s)
    return MAX_OPEN_S if is_open else still_s


@dataclass(frozen=True, slots=True)
class _Before:
    """The settings and the texts in force when files are loaded."""

    settings: Settings
    texts: Mapping[Path, str]
    files: Mapping[Path, tuple[int, int] | None]  # device and inode of the files that were loaded last
    first_loads: Mapping[str, int]  # by route: when its `retire` was first loaded
    only_receiver: Address | None  # where the receiver listens, if nothing else runs
    refusal: Callable[[Settings], str | None]


@dataclass(frozen=True, slots=True)
class _Found:
    """The result of a file, without its settings: these share texts with the tree of values, and would keep its
    memory, 90 MB with 10,000 routes."""

    encoded: bytes | None = field(repr=False)
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    is_doubtful: bool  # it may be partly written
    include: tuple[str, ...] | None = None  # None: that could not be read
    pem_files: tuple[Path, ...] | None = None


@dataclass(frozen=True, slots=True)
class _File:
    """The settings of a file, encoded too."""

    settings: Settings
    encoded: bytes = field(repr=False)


def _load(path: Path, contents: Contents, environ: Mapping[str, str], before: _Before) -> _Found:
    content, included = contents.main, contents.included
    replaced = path if content.is_replaced else contents.replaced
    if replaced is not None:
        return _Found(None, (str(replace(load.replaced_outside(replaced), severity="error")),), (), is_doubtful=False)
    if content.data is None:
        return _Found(None, tuple(map(str, load.unreadable(path, content.reason).problems)), (), is_doubtful=False)
    source = PemSource(datetime.now(UTC), _known(contents.pem), before.settings)
    loaded = load.parse(content.data, str(path), environ, path=path, contents=_known(included), pem=source)
    settings = None if loaded.settings is None else with_first_loads(loaded.settings, before.first_loads, time.time())
    if settings is not None and before.only_receiver is not None:
        settings = receiver_only(settings, before.only_receiver)
    problems = tuple(map(str, loaded.problems))
    refusal = None if settings is None else before.refusal(settings)
    if refusal is not None:
        settings, problems = None, (f"{path}: {refusal}",)
    return _Found(
        None if settings is None else encode_settings(settings),
        problems,
        tuple(map(str, loaded.warnings)),
        loaded.is_stale or _is_doubtful({path: content, **included}, loaded.settings, before),
        None if loaded.settings is None and not loaded.include else loaded.include,
        loaded.pem_files or (None if loaded.settings is None else ()),
    )


def _known(contents: Mapping[Path, Content]) -> dict[Path, bytes | OSError]:
    """Return the content of files by path, or why they cannot be read."""
    return {
        path: content.data if content.data is not None else OSError(content.errno, content.reason)
        for path, content in contents.items()
    }


def _is_doubtful(contents: Mapping[Path, Content], settings: Settings | None, before: _Before) -> bool:
    """Return whether a file may be partly written: it lacks what is in force, or, written in place, ends earlier."""
    if settings is not None and _names(before.settings) - _names(settings):
        return True
    return any(
        path in before.texts and content.file == before.files.get(path) and is_cut(before.texts[path], content.text)
        for path, content in contents.items()
    )


def _names(settings: Settings) -> set[tuple[str, str]]:
    upstreams = {("upstream", name) for name in settings.upstreams}
    return upstreams | {("route", route.name) for route in settings.routes}


def needs_restart(first: Settings, now: Settings) -> tuple[str, ...]:
    """Return the keys that only a restart puts in force and that differ from those the supervisor started with."""
    pairs = {
        "listen": (_places(first), _places(now)),
        "admin.listen": (first.admin.listen, now.admin.listen),
        "receiver.listen": (first.receiver, now.receiver),
        "state": (first.state, now.state),
        "store": (first.store, now.store),
        "node": (first.node, now.node),
        "engine": (first.engine, now.engine),
    }
    return tuple(key for key, (before, other) in pairs.items() if before != other)


def _places(settings: Settings) -> list[tuple[str, int | None, str | None]]:
    """Return where clients connect, in no order that counts: what else a listener says is followed at once."""
    return sorted((str(each.address), each.mode, each.group) for each in settings.listeners)


def read_text(path: Path) -> str | None:
    """Return the file's text, with undecodable bytes replaced; None if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return None
