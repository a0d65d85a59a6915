"""The certificate files that routes.yaml names: their paths, their content, and what is wrong with them."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Final

from strangler.config.certificate_names import note_names
from strangler.config.document import Document, Loc
from strangler.config.include import Contents
from strangler.config.notes import Notes
from strangler.config.patterns import Complaint
from strangler.config.problem import Problem
from strangler.core.listener_settings import CertificateSettings, ServerTlsSettings
from strangler.core.settings import Settings, TlsSettings

MAX_PEM_BYTES: Final = 1024 * 1024
_LARGEST = f"at most {MAX_PEM_BYTES // 1024} KiB are allowed"


@dataclass(frozen=True, slots=True)
class PemSource:
    """Where the content of the files comes from: `contents`, where it has the path, else the disk.

    `in_force` are the settings of a running proxy. What they hold stays in place of files that cannot be used.
    """

    now: datetime
    contents: Contents = field(default_factory=dict, repr=False)
    in_force: Settings | None = None


@dataclass(frozen=True, slots=True)
class PemRead:
    """The settings with the content of their files, and what is wrong. `is_stale`: some of it is that in force."""

    settings: Settings
    problems: list[Problem]
    is_stale: bool


def with_absolute_paths(settings: Settings, folder: Path) -> Settings:
    """Return the settings with all paths of certificate files absolute; relative ones start at the folder."""

    def absolute(path: str | None) -> str | None:
        return None if path is None else str((folder / path).absolute())

    def of_server(tls: ServerTlsSettings | None) -> ServerTlsSettings | None:
        if tls is None:
            return None
        certificates = tuple(
            replace(each, cert=str((folder / each.cert).absolute()), key=str((folder / each.key).absolute()))
            for each in tls.certificates
        )
        return replace(tls, certificates=certificates, client_ca=absolute(tls.client_ca))

    def of_upstream(tls: TlsSettings) -> TlsSettings:
        if tls.ca is None and tls.cert is None:
            return tls  # most have none, and there may be thousands
        return replace(tls, ca=absolute(tls.ca), cert=absolute(tls.cert), key=absolute(tls.key))

    return replace(
        settings,
        listeners=tuple(replace(listener, tls=of_server(listener.tls)) for listener in settings.listeners),
        admin=replace(settings.admin, tls=of_server(settings.admin.tls)),
        upstreams={name: replace(each, tls=of_upstream(each.tls)) for name, each in settings.upstreams.items()},
    )


def paths_of(settings: Settings) -> tuple[Path, ...]:
    """Return all certificate files that the settings name, each once."""
    servers = [*(listener.tls for listener in settings.listeners), settings.admin.tls]
    named = [
        path
        for tls in servers
        if tls is not None
        for path in (*(path for pair in tls.certificates for path in (pair.cert, pair.key)), tls.client_ca)
    ]
    named += [path for each in settings.upstreams.values() for path in (each.tls.ca, each.tls.cert, each.tls.key)]
    return tuple(Path(path) for path in dict.fromkeys(named) if path is not None)


def read_content(path: Path) -> bytes | OSError:
    """Return what a file holds, up to one byte beyond the limit."""
    try:
        with open(path, "rb", opener=_open_at_once) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                return OSError(0, "it is not a file")
            return file.read(MAX_PEM_BYTES + 1)
    except ValueError as error:  # a NUL in the path
        return OSError(0, str(error))
    except OSError as error:
        return error


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)  # a FIFO would wait for its writer


def read_pem_files(settings: Settings, document: Document, source: PemSource) -> PemRead:
    """Read the files that settings with absolute paths name, and check them."""
    reading = _Reading(document, source, settings)
    found = reading.settings()
    note_names(found, reading.notes)
    return PemRead(found, reading.notes.found, reading.is_stale)


class _Reading:
    """One reading of all files. A file has one content for all who name it: that in force, if it stays in force for one
    of them. Else a listener would get the certificate of one pair with the key of another."""

    def __init__(self, document: Document, source: PemSource, settings: Settings) -> None:
        self.notes = Notes(document)
        self._document = document
        self._source = source
        self._settings = settings
        self._before = source.in_force.files if source.in_force is not None else {}
        self._known = dict(_pairs_of(source.in_force)) if source.in_force is not None else {}
        self._read: dict[str, bytes | Complaint] = {}
        self._files: dict[str, bytes] = {}
        self._stale: dict[tuple[str, ...], tuple[str, Complaint]] = {}  # by the files that stay in force together
        self._held: dict[str, bytes] = {}  # their content

    @property
    def is_stale(self) -> bool:
        return bool(self._stale)

    def settings(self) -> Settings:
        """Return the settings with the facts about their certificates, and with the files' content."""
        while True:
            stale = len(self._stale)
            self.notes, self._files = Notes(self._document), {}
            found = self._once()
            if len(self._stale) == stale:
                return found

    def _once(self) -> Settings:
        settings = self._settings
        listeners = tuple(
            replace(listener, tls=self._server(("listen", index, "tls"), listener.tls))
            for index, listener in enumerate(settings.listeners)
        )
        admin = replace(settings.admin, tls=self._server(("admin", "tls"), settings.admin.tls))
        for name, upstream in settings.upstreams.items():
            self._upstream(("upstreams", name, "tls"), upstream.tls)
        return replace(settings, listeners=listeners, admin=admin, files=self._files)

    def _server(self, loc: Loc, tls: ServerTlsSettings | None) -> ServerTlsSettings | None:
        if tls is None:
            return None
        pairs = tuple(self._pair((*loc, "certificates", index), pair) for index, pair in enumerate(tls.certificates))
        if tls.client_ca is not None:
            self._authorities((*loc, "client_ca"), tls.client_ca)
        return replace(tls, certificates=pairs)

    def _upstream(self, loc: Loc, tls: TlsSettings) -> None:
        if tls.ca is not None:
            self._authorities((*loc, "ca"), tls.ca)
        if tls.cert is not None:
            self._pair(loc, CertificateSettings(tls.cert, tls.key or tls.cert, (), "", 0.0))

    def _pair(self, loc: Loc, named: CertificateSettings) -> CertificateSettings:
        """Read a certificate and its key. Note what is wrong, and take what is in force in its place."""
        from strangler.tls.pairs import PairProblem, read_pair  # cryptography, for those alone who need it

        if (named.cert, named.key) in self._stale:
            return self._stale_pair(loc, named, *self._stale[named.cert, named.key])
        cert, key = self._content(named.cert), self._content(named.key)
        if isinstance(cert, tuple):
            return self._stale_pair(loc, named, "cert", cert)
        if isinstance(key, tuple):
            return self._stale_pair(loc, named, "key", key)
        found = read_pair(cert, key, self._source.now)
        if isinstance(found, PairProblem):
            part = found.part if found.part == "cert" or named.key != named.cert else "cert"
            return self._stale_pair(loc, named, part, found.complaint)
        self._note((*loc, "cert"), *found.warnings)
        self._files |= {named.cert: cert, named.key: key}
        return replace(named, names=found.names, kind=found.kind, not_after=found.not_after)

    def _stale_pair(self, loc: Loc, named: CertificateSettings, part: str, complaint: Complaint) -> CertificateSettings:
        known = self._known.get((named.cert, named.key))
        if known is None:
            self.notes.complaints((*loc, part), [complaint])
            return named
        self._hold((*loc, part), (named.cert, named.key), complaint)
        return known

    def _authorities(self, loc: Loc, path: str) -> None:
        from strangler.tls.chain import ChainError, count_authorities

        if (path,) in self._stale:
            self._hold(loc, (path,), self._stale[path,][1])
            return
        content = self._content(path)
        if isinstance(content, bytes):
            try:
                if count_authorities(content):
                    self._files[path] = content
                    return
                content = ("holds no certificate", "name a PEM file with the certificates of authorities")
            except ChainError as error:
                content = (f"cannot be used: {error}", "name a PEM file with the certificates of authorities")
        if path in self._before:
            self._hold(loc, (path,), content)
        else:
            self.notes.complaints(loc, [content])

    def _content(self, path: str) -> bytes | Complaint:
        if path in self._held:
            return self._held[path]
        if path not in self._read:
            self._read[path] = self._checked(path)
        return self._read[path]

    def _checked(self, path: str) -> bytes | Complaint:
        contents = self._source.contents
        content = contents[Path(path)] if Path(path) in contents else read_content(Path(path))
        if isinstance(content, OSError):
            return f"cannot be read: {content.strerror or content}", _way_to_read(content, path)
        return content if len(content) <= MAX_PEM_BYTES else ("is too large", _LARGEST)

    def _note(self, loc: Loc, *complaints: Complaint) -> None:
        self.notes.complaints(loc, complaints, "warning")

    def _hold(self, loc: Loc, paths: tuple[str, ...], complaint: Complaint) -> None:
        """Keep in force what these files held. `loc` ends with the part that the complaint is about."""
        self._stale[paths] = str(loc[-1]), complaint
        self._held |= {path: self._before[path] for path in paths}
        self._files |= self._held
        self._note(loc, (f"{complaint[0]}, so the earlier content stays in force", complaint[1]))


def _pairs_of(settings: Settings) -> Iterator[tuple[tuple[str, str], CertificateSettings]]:
    """Yield the pairs that settings hold, with their facts."""
    for tls in (*(listener.tls for listener in settings.listeners), settings.admin.tls):
        for pair in tls.certificates if tls is not None else ():
            yield (pair.cert, pair.key), pair
    for upstream in settings.upstreams.values():
        if upstream.tls.cert is not None:
            key = upstream.tls.key or upstream.tls.cert
            yield (upstream.tls.cert, key), CertificateSettings(upstream.tls.cert, key, (), "", 0.0)


def _way_to_read(error: OSError, path: str) -> str:
    if isinstance(error, PermissionError):
        return f"let the user with the id {os.getuid()}, as which this runs, read {path}"
    if isinstance(error, FileNotFoundError):
        return f"there must be a file {path}"
    return "name another file"
