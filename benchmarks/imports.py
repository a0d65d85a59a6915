"""How fast logs are read for the ledger: `python -m benchmarks.imports [--lines 200000]`.

Made lines of each format, of many callers and paths over a day, are read from memory as `strangler.imports` reads them;
and one of them is summed up as an import does: lines a second of one core, and the peak of memory over a tenfold file.
"""

import argparse
import gzip
import io
import json
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table

from strangler.core.ledger.log_sums import LogSumsState
from strangler.core.ledger.template_tree import TemplateTreeState
from strangler.core.time_buckets import BOUNDS_S
from strangler.imports.log_reading import CallsState
from strangler.imports.recognise import read
from strangler.imports.source_bytes import SourceState
from strangler.imports.values import ImportOptions

_START = 1_780_000_000
_CALLER = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/%d.0.0.0 Safari/537.36"


def _line_of_clf(at: int, path: str, caller: str) -> str:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
    return f'203.0.113.{at % 250} - - [{stamp}] "GET {path} HTTP/1.1" 200 512 "https://shop.example/" "{caller}"'


def _line_of_traefik(at: int, path: str, caller: str) -> str:
    return f'{_line_of_clf(at, path, caller)} {at % 9999} "shop@docker" "http://10.0.0.7:8080" {at % 300}ms'


def _line_of_haproxy(at: int, path: str, caller: str) -> str:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%d/%b/%Y:%H:%M:%S")
    return (
        f"Nov 30 08:00:00 lb haproxy[711]: 203.0.113.9:51234 [{stamp}.123] https~ app/app1 0/0/1/{at % 90}/{at % 99} "
        f'200 512 - - ---- 9/9/1/1/0 0/0 {{shop.example|{caller}}} "GET {path} HTTP/1.1"'
    )


def _line_of_alb(at: int, path: str, caller: str) -> str:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.123456Z")
    return (
        f"https {stamp} app/shop/50dc6c495c0c9188 203.0.113.9:2817 10.0.0.1:80 0.000 0.0{at % 90 + 10} 0.000 200 200 3 "
        f'366 "GET https://shop.example:443{path} HTTP/1.1" "{caller}" AES128-SHA TLSv1.2 arn:aws:x '
        f'"Root=1-5" "shop.example" "-" 0 {stamp} "forward" "-" "-" "10.0.0.1:80" "200" "-" "-"'
    )


def _line_of_ours(at: int, path: str, _: str) -> str:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.123Z")
    return (
        f'{{"time":"{stamp}","level":"info","event":"request","client":"203.0.113.9","method":"GET",'
        f'"path":"{path.partition("?")[0]}","route":"orders","arm":"legacy","reason":"bucket","upstream":"legacy",'
        f'"status":200,"fault":null,"attempts":1,"duration_ms":1.234,"bytes":512,"request_id":"01J0000000000000000000",'
        f'"process":"worker-0","pid":7}}'
    )


def _line_of_traefik_json(at: int, path: str, caller: str) -> str:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.123456789Z")
    return json.dumps(
        {
            "ClientAddr": "203.0.113.9:51234", "ClientHost": "203.0.113.9", "DownstreamContentSize": 512,
            "DownstreamStatus": 200, "Duration": 1234567, "OriginStatus": 200, "RequestAddr": "shop.example",
            "RequestHost": "shop.example", "RequestMethod": "GET", "RequestPath": path, "RequestProtocol": "HTTP/1.1",
            "RouterName": "shop@docker", "ServiceName": "shop", "StartUTC": stamp, "entryPointName": "web",
            "level": "info", "msg": "", "request_User-Agent": caller, "time": stamp,
        }
    )  # fmt: skip


def _line_of_iis(at: int, path: str, caller: str) -> str:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    stem, _, query = path.partition("?")
    head = (
        "" if at > _START else "#Fields: date time s-ip cs-method cs-uri-stem cs-uri-query cs(User-Agent) sc-status\n"
    )
    return f"{head}{stamp} 10.0.0.1 GET {stem} {query} {caller.replace(' ', '+')} 200"


def _line_of_fields(at: int, path: str, caller: str) -> str:
    return json.dumps(
        {
            "when": at,
            "http": {"verb": "GET", "uri": path},
            "code": "200",
            "ua": caller,
            "host": "shop.example",
            "size": 512,
        }
    )


FORMATS: dict[str, Callable[[int, str, str], str]] = {
    "combined": _line_of_clf,
    "Traefik": _line_of_traefik,
    "HAProxy": _line_of_haproxy,
    "AWS ALB": _line_of_alb,
    "W3C extended": _line_of_iis,
    "our JSON": _line_of_ours,
    "Traefik JSON": _line_of_traefik_json,
    "JSON with --fields": _line_of_fields,
}
FIELDS = {"time": "when", "method": "http.verb", "path": "http.uri", "status": "code", "caller": "ua"}


def made(line: Callable[[int, str, str], str], count: int) -> bytes:
    """Return a log of `count` lines over a day."""
    return "".join(
        line(
            _START + at * 86_400 // count, f"/api/orders/{at * 7919 % 99_991}/items?page={at % 9}", _CALLER % (at % 50)
        )
        + "\n"
        for at in range(count)
    ).encode()


def _read(data: bytes, name: str) -> int:
    options = ImportOptions(FIELDS) if "--fields" in name else ImportOptions()
    calls = read(SourceState(io.BytesIO(data), name), options)
    assert isinstance(calls, CallsState)
    return sum(1 for _ in calls)


def summed(data: bytes) -> LogSumsState:
    """Return the calls of a log, summed up as `strangler ledger import` does."""
    calls = read(SourceState(io.BytesIO(data), "combined"), ImportOptions())
    assert isinstance(calls, CallsState)
    sums = LogSumsState(TemplateTreeState, BOUNDS_S)
    for call in calls:
        sums.count(call.method, call.path, call.query, call.status or 0, call.caller, call.at or 0.0, call.duration_s)
    return sums


def _peak_bytes(data: bytes) -> int:
    tracemalloc.start()
    _read(data, "combined")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=200_000)
    count = parser.parse_args().lines
    table = Table("format", "lines a second", "a million lines, s")
    for name, line in FORMATS.items():
        data = made(line, count)
        for label, content in (
            (name, data),
            *(((f"{name}, gzip", gzip.compress(data, 6)),) if name == "combined" else ()),
        ):
            start = time.process_time()
            assert _read(content, label) == count
            spent = time.process_time() - start
            table.add_row(label, f"{count / spent:,.0f}", f"{1e6 * spent / count:.1f}")
    data = made(_line_of_clf, count)
    start = time.process_time()
    assert summed(data).calls == count
    spent = time.process_time() - start
    table.add_row("combined, summed up for the ledger", f"{count / spent:,.0f}", f"{1e6 * spent / count:.1f}")
    console = Console()
    console.print(table)
    small, large = (_peak_bytes(made(_line_of_clf, lines)) for lines in (count // 10, count))
    console.print(f"peak of memory while reading: {small / 1e6:.1f} MB, of a tenfold file {large / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
