"""How fast recordings are made and read: `python -m benchmarks.recordings [--pairs 2000]`.

Made pairs of each kind are redacted in place, written and read as `strangler record` does, and a file of GoReplay is
imported: pairs a second of one core, and how many times the CPU of a plain loop (json and zstd of the standard library
and its backport) that is, which is measured in the same run. All values differ from pair to pair but for what clients
send again and again.
"""

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.table import Table

from strangler.core.compare import Redactor
from strangler.recordings.convert import Redaction, convert
from strangler.recordings.exports.destination import PLACEHOLDER, destination
from strangler.recordings.exports.export import export
from strangler.recordings.exports.to_gor import GorFormat
from strangler.recordings.recorded import (
    Header,
    RecordedBody,
    RecordedHeaders,
    RecordedPair,
    RecordedRequest,
    RecordedResponse,
)
from strangler.recordings.recording_reader import open_recording
from strangler.recordings.recording_writer import RecordingWriter
from strangler.recordings.redact_in_place import RecordingRedactor

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

_HEADER = Header(made="2027-01-01T00:00:00.000Z", by="benchmark", source="gor", redacted=False)
_AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{}.0.0.0 Safari/537.36"
_CALLERS = 200


def _id(draw: random.Random) -> str:
    return str(UUID(int=draw.getrandbits(128), version=4))


def _fields(at: int, draw: random.Random) -> RecordedHeaders:
    caller = at % _CALLERS
    return (
        ("Host", "shop.example"),
        ("User-Agent", _AGENT.format(120 + caller % 20)),
        ("Accept", "application/json"),
        ("Accept-Language", "de-DE,de;q=0.9,en;q=0.8"),
        ("Accept-Encoding", "gzip, deflate, br"),
        ("Cookie", f"sid={caller * 7919:032x}; theme=dark"),
        ("Authorization", f"Bearer {caller * 104729:064x}"),
        ("X-Request-Id", _id(draw)),
        ("X-Forwarded-For", f"203.0.113.{caller}"),
        ("traceparent", f"00-{draw.getrandbits(128):032x}-{draw.getrandbits(64):016x}-01"),
        ("Referer", f"https://shop.example/list?page={at % 50}"),
        ("X-Client-Version", "4.7.1"),
    )


def _pair(at: int, draw: random.Random, request: tuple[str, str], content: tuple[str, str]) -> RecordedPair:
    target, form = request
    kind, text = content
    fields = _fields(at, draw)
    if form:
        fields = (*fields, ("Content-Type", "application/x-www-form-urlencoded"))
    return RecordedPair(
        at=1_796_051_655.5 + at,
        caller=str(at % _CALLERS),
        request=RecordedRequest("POST" if form else "GET", target, fields, RecordedBody(text=form) if form else None),
        response=RecordedResponse(
            200,
            (("Content-Type", kind), ("Cache-Control", "no-store"), ("ETag", f'W/"{draw.getrandbits(64):016x}"')),
            RecordedBody(text=text),
            12.5,
        ),
    )


def _order(at: int, draw: random.Random, *secrets: tuple[str, str]) -> str:
    item = {"sku": "SKU-1", "title": "blue summer shirt", "quantity": 2, "price": 19.99, "url": "/products/7?ref=list"}
    order = {
        "id": draw.randrange(10**7),
        "created": f"2026-11-{at % 28 + 1:02d}T15:{at % 60:02d}:27.459Z",
        "customer": {"id": _id(draw), "name": "Ana Berg", "note": None, **dict(secrets)},
        "items": [item | {"sku": f"SKU-{draw.randrange(10**6)}"} for _ in range(7)],
    }
    return json.dumps(order)


def _small_get(at: int, draw: random.Random) -> RecordedPair:
    return _pair(at, draw, (f"/api/stock/{draw.randrange(10**6)}", ""), ("application/json", f'{{"stock": {at % 99}}}'))


def _json(at: int, draw: random.Random) -> RecordedPair:
    return _pair(at, draw, (f"/api/orders/{draw.randrange(10**6)}", ""), ("application/json", _order(at, draw)))


def _json_with_secrets(at: int, draw: random.Random) -> RecordedPair:
    text = _order(at, draw, ("email", f"ana{at}@example.com"), ("token", _id(draw)))
    return _pair(at, draw, (f"/api/orders/{draw.randrange(10**6)}", ""), ("application/json", text))


def _form(at: int, draw: random.Random) -> RecordedPair:
    form = f"user=ana{at}&password={draw.getrandbits(40):x}&next=%2Fhome%3Fa%3D1"
    return _pair(at, draw, ("/login", form), ("application/json", '{"ok": true}'))


def _html(at: int, draw: random.Random) -> RecordedPair:
    row = '<li class="item" data-id="{0}"><a href="/products/{0}">blue summer shirt</a><span>19,99</span></li>\n'
    rows = "".join(row.format(draw.randrange(10**6)) for _ in range(75))
    token = f'<input type=hidden name=csrf_token value="{draw.getrandbits(128):032x}">'
    text = f"<!doctype html><title>Shop</title><form action='/search'>{token}</form><ul>{rows}</ul>"
    return _pair(at, draw, (f"/list?page={at % 50}", ""), ("text/html", text))


KINDS: dict[str, Callable[[int, random.Random], RecordedPair]] = {
    "small GET": _small_get,
    "1 KB of JSON": _json,
    "1 KB of JSON with secrets": _json_with_secrets,
    "form": _form,
    "8 KB of HTML": _html,
}


def made(name: str, count: int) -> list[RecordedPair]:
    """Return pairs of a kind."""
    draw = random.Random(7)
    return [KINDS[name](at, draw) for at in range(count)]


def _cpu_s(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _plain_loop(pairs: list[RecordedPair]) -> Callable[[], object]:
    """Return the loop to measure against: a JSON document for each pair, compressed, and read again."""
    bodies = [pair.response.body.text for pair in pairs if pair.response and pair.response.body]
    documents = [{"at": pair.at, "headers": list(pair.request.headers), "body": body}
                 for pair, body in zip(pairs, bodies, strict=True)]  # fmt: skip

    def run() -> None:
        data = zstd.compress(b"\n".join(json.dumps(document).encode() for document in documents))
        for line in zstd.decompress(data).split(b"\n"):
            json.loads(line)

    return run


def _redact(pairs: list[RecordedPair]) -> None:
    redactor = RecordingRedactor(Redactor.of(b"key", ()))
    for pair in pairs:
        assert redactor.pair(pair, hides_caller=True) is not None


def _write(path: Path, pairs: list[RecordedPair]) -> None:
    with RecordingWriter(path, _HEADER, force=True) as writer:
        for pair in pairs:
            writer.write(pair)


def _read(path: Path) -> int:
    with open_recording(path) as recording:
        return sum(1 for _ in recording)


def _works(folder: Path, name: str, pairs: list[RecordedPair]) -> dict[str, Callable[[], object]]:
    """Return what is measured, in the order in which it has to run."""
    path = folder / "a.rec"
    works: dict[str, Callable[[], object]] = {
        f"redact: {name}": lambda: _redact(pairs),
        f"write: {name}": lambda: _write(path, pairs),
        f"read: {name}": lambda: _read(path),
    }
    return works


def _import(folder: Path, pairs: list[RecordedPair]) -> dict[str, Callable[[], object]]:
    _write(folder / "a.rec", pairs)
    source = folder / "a.gor"
    with open_recording(folder / "a.rec") as recording, source.open("wb") as file:
        export(recording, GorFormat(), destination(PLACEHOLDER), file.write)

    def run(redaction: Redaction | None) -> None:
        convert(source, folder / "b.rec", "benchmark", redaction, host="", force=True)

    return {
        "import .gor, --no-redact": lambda: run(None),
        "import .gor": lambda: run(Redaction.of(None)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=2000)
    count = parser.parse_args().pairs
    table = Table("work", "pairs a second", "µs a pair", "of a plain loop")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind in KINDS:
            pairs = made(kind, count)
            plain_s = _cpu_s(_plain_loop(pairs))
            works = _works(folder, kind, pairs) | (_import(folder, pairs) if kind == "1 KB of JSON" else {})
            for label, work in works.items():
                spent_s = _cpu_s(work)
                table.add_row(
                    label, f"{count / spent_s:,.0f}", f"{1e6 * spent_s / count:.0f}", f"{spent_s / plain_s:.1f}x"
                )
    Console().print(table)


if __name__ == "__main__":
    main()
