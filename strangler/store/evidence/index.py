"""The index of the evidence: what must be known of the store to keep it bounded."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from strangler.core.compare import Where
from strangler.core.source import LIVE, Source
from strangler.store.connection import Connection
from strangler.store.evidence.findings import Finding, StoredDifference
from strangler.store.evidence.stored_claims import FOLDED

SAMPLES: Final = 20
SAMPLE_EVERY_S: Final = 60.0
"""How often a signature with all its samples gets a new one in place of its oldest, at most."""

MAX_SAMPLE_COUNTS: Final = 50_000
"""The most signatures by release and source whose samples are counted in memory; a forgotten one gets one too many."""

_Sampled = tuple[str, str, Source]
"""A signature, its release and its source, which have samples of their own."""

MAX_KEY_BYTES: Final = 1500
"""The most bytes of a text that is part of a table's key: PostgreSQL's indexes take rows of 2,700 bytes."""

_MAX_SIGNATURES = 2000
"""The limit of one route; further ones are counted under one name for each severity."""
_MAX_SETS = 5000
_MAX_ENDPOINTS = 1000
_MAX_NOISE = 2000


@dataclass(frozen=True, slots=True)
class Kept:
    """A finding as it is counted: folded if its route has too many signatures, sets or endpoints."""

    endpoint: str
    differences: tuple[StoredDifference, ...]
    accepted: tuple[StoredDifference, ...]
    members: str
    """The id of the set of differences that the pair is counted under."""
    ids: tuple[str, ...]
    """The signatures of that set that differed; `accepted_ids` has those that a rule accepted."""
    accepted_ids: tuple[str, ...]

    @property
    def signatures(self) -> set[str]:
        """All signatures that were seen, whatever set the pair is counted under."""
        return {seen.id for seen in (*self.differences, *self.accepted)} | {*self.ids, *self.accepted_ids}

    @property
    def has_status(self) -> bool:
        """Whether the statuses differed, so that the bodies are not comparable."""
        return any(seen.place == Where.STATUS for seen in self.differences)


class IndexState:
    """The facts about the store that are needed to keep it bounded. Only the store's thread writes them.

    What a transaction adds is taken back by `roll_back`, unless `commit` was called.
    """

    def __init__(self) -> None:
        self._added: list[tuple[set[str], str]] = []
        """The additions to sets by the transaction in progress."""
        self._sampled: list[tuple[_Sampled, tuple[int, float] | None]] = []
        """The counts of samples before the transaction in progress."""
        self._noised: Counter[str] = Counter()
        self._samples: dict[_Sampled, tuple[int, float]] = {}
        """By signature, release and source: the number of samples, and the time of the last one."""
        self._signatures: dict[str, set[str]] = {}
        self._sets: dict[str, set[str]] = {}
        self._endpoints: dict[str, set[str]] = {}
        self._noise: Counter[str] = Counter()

    def commit(self) -> None:
        """Keep what has been added."""
        self._added.clear()
        self._sampled.clear()
        self._noised.clear()

    def roll_back(self) -> None:
        """Take back what was added since the last `commit`: its transaction has failed."""
        for known, name in self._added:
            known.discard(name)
        for of, before in reversed(self._sampled):
            if before is None:
                self._samples.pop(of, None)
            else:
                self._samples[of] = before
        self._noise -= self._noised
        self.commit()

    def become(self, other: "IndexState") -> None:
        """Take over what another index was loaded with. To be called between transactions."""
        self._samples, self._noise = other._samples, other._noise
        self._signatures, self._sets, self._endpoints = other._signatures, other._sets, other._endpoints
        self.commit()

    def load(self, connection: Connection) -> None:
        """Read what the store has, without evidence that was set aside."""
        self.__init__()  # type: ignore[misc]
        for signature, release, source, count, last in connection.execute(
            """SELECT signature, release, source, count(*), max(at) FROM sample_links GROUP BY 1, 2, 3
            ORDER BY 5 DESC LIMIT ?""",
            (MAX_SAMPLE_COUNTS,),
        ):
            self._samples[signature, release, source] = count, last
        for route, signature in connection.execute("SELECT route, id FROM signatures WHERE state != ''"):
            self._signatures.setdefault(route, set()).add(signature)
        for route, endpoint, members in connection.execute(
            """SELECT DISTINCT route, endpoint, members FROM pairs WHERE (route, release) NOT IN
            (SELECT route, name FROM releases WHERE era != '')"""
        ):
            self._endpoints.setdefault(route, set()).add(endpoint)
            if members:
                self._sets.setdefault(route, set()).add(members)
        for route, count in connection.execute("SELECT route, count(*) FROM noise WHERE era = '' GROUP BY route"):
            self._noise[route] = count

    def wants_sample(self, signatures: Iterable[str], at: float, release: str = "", source: Source = LIVE) -> bool:
        """Return whether any signature lacks samples, or got no new one for a while. Any thread may call it."""
        return any(self._lacks_sample((signature, release, source), at) for signature in signatures)

    def _lacks_sample(self, of: _Sampled, at: float) -> bool:
        count, last = self._samples.get(of, (0, 0.0))
        return count < SAMPLES or at - last > SAMPLE_EVERY_S

    def add_sample_if_wanted(self, signature: str, at: float, release: str = "", source: Source = LIVE) -> bool:
        """Count one more sample if it is wanted, and return whether it is."""
        of = signature, release, source
        if not self._lacks_sample(of, at):
            return False
        before = self._samples.pop(of, None)
        self._sampled.append((of, before))
        count = 0 if before is None else before[0]
        while len(self._samples) >= MAX_SAMPLE_COUNTS:
            del self._samples[next(iter(self._samples))]
        self._samples[of] = min(count + 1, SAMPLES), at
        return True

    def kept(self, finding: Finding) -> Kept:
        """Return the finding as it is counted."""
        route, endpoint = finding.route, finding.endpoint
        known = self._endpoints.setdefault(route, set())
        if not _fits(endpoint) or not self._is_among(known, endpoint, _MAX_ENDPOINTS):
            endpoint = f"{endpoint.partition(' ')[0]} {FOLDED}"
        differences, accepted = self._known(route, finding.differences), self._known(route, finding.accepted)
        accepted = {name: seen for name, seen in accepted.items() if name not in differences}
        if finding.is_partial and differences:  # a difference that is not listed is never accepted
            rest = _folded(route, finding.differences[-1])
            differences.setdefault(rest.id, rest)
        ids, accepted_ids = tuple(sorted(differences)), tuple(sorted(accepted))
        members = set_id(ids, accepted_ids)
        sets = self._sets.setdefault(route, set())
        if members and not self._is_among(sets, members, _MAX_SETS):
            gravest = _folded(route, next(iter((differences or accepted).values())))
            (differences or accepted).setdefault(gravest.id, gravest)
            ids, accepted_ids = ((gravest.id,), ()) if differences else ((), (gravest.id,))
            members = set_id(ids, accepted_ids)
            self._is_among(sets, members, len(sets) + 1)
        return Kept(endpoint, (*differences.values(),), (*accepted.values(),), members, ids, accepted_ids)

    def _known(self, route: str, differences: Iterable[StoredDifference]) -> dict[str, StoredDifference]:
        signatures = self._signatures.setdefault(route, set())
        found: dict[str, StoredDifference] = {}
        for seen in differences:
            stored_difference = seen if self._is_among(signatures, seen.id, _MAX_SIGNATURES) else _folded(route, seen)
            found.setdefault(stored_difference.id, stored_difference)
        return found

    def add_noise_if_wanted(self, route: str) -> bool:
        self._noise[route] += 1
        self._noised[route] += 1
        return self._noise[route] <= _MAX_NOISE

    def _is_among(self, known: set[str], name: str, most: int) -> bool:
        """Return whether a name is known, or is from now on since there is room."""
        if name in known:
            return True
        if len(known) >= most:
            return False
        known.add(name)
        self._added.append((known, name))
        return True


def _fits(text: str) -> bool:
    """Return whether a text may be part of a key."""
    return len(text) <= MAX_KEY_BYTES // 4 or len(text.encode()) <= MAX_KEY_BYTES


def key_text(text: str) -> str:
    """Return a text as it may be part of a key: a very long one is cut."""
    return text if _fits(text) else text.encode()[: MAX_KEY_BYTES - 3].decode(errors="ignore") + FOLDED


def _folded(route: str, seen: StoredDifference) -> StoredDifference:
    name = blake2b(f"{route}\0{seen.severity}\0{FOLDED}".encode(), digest_size=8).hexdigest()
    return StoredDifference(name, seen.place, FOLDED, seen.kind, seen.severity, seen.legacy, seen.candidate)


def set_id(signatures: Iterable[str], accepted: Iterable[str] = ()) -> str:
    """Return the id of a set of signatures, some of which were accepted; empty for no signature."""
    ids, others = sorted(signatures), sorted(accepted)
    if not ids and not others:
        return ""
    parts = "\0".join(ids) + ("\0\0" + "\0".join(others) if others else "")
    return blake2b(parts.encode(), digest_size=8).hexdigest()
