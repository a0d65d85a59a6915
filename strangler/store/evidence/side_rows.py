"""The rows that a batch of findings has beside its counts: samples, times of both arms, and legacy against itself."""

from collections import Counter

from strangler.store.connection import Connection
from strangler.store.evidence.findings import Finding
from strangler.store.evidence.index import SAMPLES, IndexState, Kept, key_text


class SampleRows:
    """The samples of a batch, and the signatures that each is one of."""

    def __init__(self) -> None:
        self._samples: list[tuple[str, str, float, int, bytes]] = []
        self._links: list[tuple[str, str, float, str, str]] = []

    def add(self, index: IndexState, finding: Finding, kept: Kept) -> None:
        """Take the sample of a finding for those of its signatures that want one."""
        if finding.sample is None:
            return
        wanted = [
            seen.id
            for seen in kept.differences
            if index.add_sample_if_wanted(seen.id, finding.at, finding.release, finding.source)
        ]
        if wanted:
            self._samples.append((finding.id, finding.route, finding.at, len(finding.sample), finding.sample))
            self._links += [(name, finding.id, finding.at, finding.release, finding.source) for name in wanted]

    def store(self, connection: Connection) -> None:
        """Write them; of each signature, release and source the newest `SAMPLES` stay."""
        connection.executemany(
            "INSERT INTO samples VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", sorted(self._samples)
        )
        connection.executemany(
            "INSERT INTO sample_links VALUES (?, ?, ?, ?, ?) ON CONFLICT (signature, sample) DO NOTHING",
            sorted(self._links),
        )
        connection.executemany(
            """
            DELETE FROM sample_links WHERE signature = ? AND release = ? AND source = ? AND sample NOT IN (
                SELECT sample FROM sample_links WHERE signature = ? AND release = ? AND source = ?
                ORDER BY at DESC, sample DESC LIMIT ?)
            """,
            [(*key, *key, SAMPLES) for key in sorted({(name, *of) for name, _, _, *of in self._links})],
        )


class SideRows:
    """The other results of a batch's comparisons: the times of both arms, and the comparisons of legacy with itself."""

    def __init__(self) -> None:
        self._latencies: list[tuple[str, float, float, float, str, str]] = []
        self._baselines: Counter[str] = Counter()
        self._noise: Counter[tuple[str, str, str, str, str]] = Counter()

    def add(self, finding: Finding) -> None:
        if finding.latency is not None:
            times = finding.at, *finding.latency
            self._latencies.append((finding.route, *times, finding.release, finding.source))
        if finding.baseline is None:
            return
        self._baselines[finding.route] += 1
        for noisy in finding.baseline:
            self._noise[finding.route, noisy.place, key_text(noisy.path), noisy.kind, noisy.shape] += 1

    def store(self, connection: Connection, index: IndexState) -> None:
        connection.executemany("INSERT INTO latencies VALUES (?, ?, ?, ?, ?, ?)", self._latencies)
        connection.executemany(
            """INSERT INTO baselines VALUES (?, '', ?)
            ON CONFLICT (route, era) DO UPDATE SET pairs = baselines.pairs + excluded.pairs""",
            sorted(self._baselines.items()),
        )
        for key, count in sorted(self._noise.items()):
            updated = connection.execute(
                """UPDATE noise SET count = count + ?
                WHERE route = ? AND era = '' AND place = ? AND path = ? AND kind = ? AND shape = ?""",
                (count, *key),
            )
            if not updated.rowcount and index.add_noise_if_wanted(key[0]):
                connection.execute(
                    """INSERT INTO noise VALUES (?, '', ?, ?, ?, ?, ?)
                    ON CONFLICT (route, era, place, path, kind, shape)
                    DO UPDATE SET count = noise.count + excluded.count""",
                    (*key, count),
                )
