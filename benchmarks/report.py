"""The figures as tables for a terminal and for docs/, and as a picture."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from benchmarks.load import WORKLOADS

if TYPE_CHECKING:
    from benchmarks.peers import Cell

Row = tuple[str, ...]
_IDLE = {"idle": "Idle connections", "tls-idle": "Idle TLS connections"}
_PARTS = {
    "figures": ("get", "post", "download", "upload", "idle"),
    "figures of connections": (
        "connect",
        "tls-get",
        "tls-download",
        "tls-upload",
        "tls-connect",
        "tls-resume",
        "tls-idle",
    ),
}
"""The parts of the page, and the workloads whose tables each has."""


def _number(value: float | None, scale: float = 1.0, digits: int = 0) -> str:
    return "–" if value is None else f"{value * scale:,.{digits}f}"


def _ratio(cell: "Cell", cells: "Sequence[Cell]", other: str, figure: "Callable[[Cell], float | None]") -> str:
    """Return this proxy's figure divided by that of `other` under the same workload."""
    mine = figure(cell)
    theirs = next((figure(c) for c in cells if c.proxy == other and c.workload == cell.workload), None)
    return "–" if not mine or not theirs else f"{mine / theirs:.2f}"


_COLUMNS = (
    "proxy", "requests/s", "p50 ms", "p99 ms", "CPU µs/request", "busiest process", "core", "PSS MB", "RSS MB",
    "CPU : Envoy", "rate : Envoy", "rate : textbook", "errors",
)  # fmt: skip
_PACED_COLUMNS = ("proxy", "requests/s", "p50 ms", "p99 ms", "p99 : Envoy")
_IDLE_COLUMNS = ("proxy", "KB per connection", "PSS MB with all")


def _row(cell: "Cell", cells: "Sequence[Cell]", labels: dict[str, str]) -> Row:
    return (
        labels[cell.proxy],
        _number(cell.rate),
        _number(cell.p50_s, 1e3, 2),
        _number(cell.p99_s, 1e3, 2),
        _number(cell.cpu_s_per_request, 1e6, 1),
        _number(cell.busiest_cpu_s_per_request, 1e6, 1),
        "–" if cell.cpu_share is None else f"{cell.cpu_share:.0%}",
        _number(cell.pss_bytes, 1e-6, 1),
        _number(cell.rss_bytes, 1e-6, 1),
        _ratio(cell, cells, "envoy", lambda c: c.cpu_s_per_request),
        _ratio(cell, cells, "envoy", lambda c: c.rate),
        _ratio(cell, cells, "textbook", lambda c: c.rate),
        str(cell.errors),
    )


def _paced_row(cell: "Cell", cells: "Sequence[Cell]", labels: dict[str, str]) -> Row:
    return (
        labels[cell.proxy],
        _number(cell.paced_rate),
        _number(cell.paced_p50_s, 1e3, 3),
        _number(cell.paced_p99_s, 1e3, 3),
        _ratio(cell, cells, "envoy", lambda c: c.paced_p99_s),
    )


def _idle_row(cell: "Cell", labels: dict[str, str]) -> Row:
    return labels[cell.proxy], _number(cell.bytes_per_idle, 1e-3, 2), _number(cell.pss_bytes, 1e-6, 1)


def _tables(cells: "Sequence[Cell]", labels: dict[str, str]) -> list[tuple[str, Row, list[Row]]]:
    """Return the title, columns and rows of each table."""
    tables: list[tuple[str, Row, list[Row]]] = []
    for workload in WORKLOADS:
        own = [cell for cell in cells if cell.workload == workload.name]
        if own:
            many = "one after the other" if workload.connections == 1 else f"{workload.connections} connections"
            title = f"{workload.label}, {many}, as fast as it goes"
            tables.append((title, _COLUMNS, [_row(cell, cells, labels) for cell in own]))
        half = [cell for cell in own if cell.paced_rate is not None]
        if half:
            title = (
                f"{workload.label} at half of Envoy's best rate, paced: latency from the moment each request was due"
            )
            tables.append((title, _PACED_COLUMNS, [_paced_row(cell, cells, labels) for cell in half]))
    for name, title in _IDLE.items():
        idle = [cell for cell in cells if cell.workload == name]
        if idle:
            tables.append((title, _IDLE_COLUMNS, [_idle_row(cell, labels) for cell in idle]))
    return tables


def print_tables(cells: "Sequence[Cell]", labels: dict[str, str], console: Console) -> None:
    for title, columns, rows in _tables(cells, labels):
        table = Table(title=title, title_justify="left", title_style="bold")
        for number, column in enumerate(columns):
            table.add_column(column, justify="right" if number else "left", no_wrap=not number)
        for row in rows:
            table.add_row(*row, style="bold" if row[0].startswith("strangler") else "")
        console.print(table)


def markdown(cells: "Sequence[Cell]", labels: dict[str, str], machine: dict[str, object]) -> str:
    """Return the same tables for docs/, with the machine of the run."""
    lines = [
        f"Measured {machine['time']} on {machine['cpu']}, Linux {machine['kernel']}, Python {machine['python']}.",
        "",
    ]
    for title, columns, rows in _tables(cells, labels):
        lines += [f"**{title}**", "", _piped(columns), _piped(("---", *("--:" for _ in columns[1:])))]
        lines += [*map(_piped, rows), ""]
    return "\n".join(lines)


def with_cells(page: str, cells: "Sequence[Cell]", labels: dict[str, str], machine: dict[str, object]) -> str:
    """Return `page` with the tables of those parts of it that were measured. Raises ValueError if it lacks marks."""
    for part, workloads in _PARTS.items():
        own = [cell for cell in cells if cell.workload in workloads]
        if own:
            page = with_figures(page, markdown(own, labels, machine), part)
    return page


def with_figures(page: str, figures: str, part: str = "figures") -> str:
    """Return `page` with the text between the two marks of a part replaced. Raises ValueError if it has no marks."""
    begin, end = f"<!-- {part} -->", f"<!-- end of {part} -->"
    before, mark, rest = page.partition(begin)
    _, end_mark, after = rest.partition(end)
    if not mark or not end_mark:
        raise ValueError(f"the page has no {begin!r} and {end!r}")
    return f"{before}{begin}\n\n{figures}\n{end}{after}"


def _piped(row: Row) -> str:
    return "| " + " | ".join(row) + " |"


def draw(cells: "Sequence[Cell]", labels: dict[str, str], file: Path) -> None:
    """Draw CPU per request for each workload, p99 at half load, memory per idle connection. Shorter is better."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    panels = [panel for panel in _panels(cells) if panel[1]]
    if not panels:
        return
    figure, axes = plt.subplots((len(panels) + 1) // 2, 2, figsize=(11, 2.4 * ((len(panels) + 1) // 2)), squeeze=False)
    for axis in axes.flat[len(panels) :]:
        axis.set_visible(False)
    for axis, (title, bars) in zip(axes.flat, panels, strict=False):
        names = [labels[name] for name, _ in bars]
        colours = ["#c2410c" if name.startswith("ours") else "#94a3b8" for name, _ in bars]
        drawn = axis.barh(names, [value for _, value in bars], color=colours)
        written = [f"{value:,.0f}" if value >= 100 else f"{value:.3g}" for _, value in bars]
        axis.bar_label(drawn, labels=written, padding=3, fontsize=8)
        axis.invert_yaxis()
        axis.set_title(title, fontsize=10, loc="left")
        axis.margins(x=0.15)
        axis.tick_params(labelsize=8)
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(file, dpi=150)
    plt.close(figure)


def _panels(cells: "Sequence[Cell]") -> list[tuple[str, list[tuple[str, float]]]]:
    panels = []
    for workload in WORKLOADS:
        own = [c for c in cells if c.workload == workload.name]
        bars = [(c.proxy, c.cpu_s_per_request * 1e6) for c in own if c.cpu_s_per_request]
        panels.append((f"{workload.label}: CPU µs per request", bars))
    half = [(c.proxy, c.paced_p99_s * 1e3) for c in cells if c.paced_p99_s]
    panels.insert(1, ("small GET at half load: p99, ms", half))
    for name, title in (("idle", "idle connection: KB"), ("tls-idle", "idle TLS connection: KB")):
        held = [(c.proxy, c.bytes_per_idle / 1e3) for c in cells if c.workload == name and c.bytes_per_idle is not None]
        panels.append((title, held))
    return panels
