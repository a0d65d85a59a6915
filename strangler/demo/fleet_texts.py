"""The texts of the demo of a fleet."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from strangler.demo.fleet_clients import CLIENTS
from strangler.demo.fleet_routes import NodePlace
from strangler.demo.fleet_views import NodeCounts
from strangler.demo.stage import DemoOptions
from strangler.demo.tally import Summary

_GUIDE: Final = """\
Running: {number} nodes of the proxy that share a PostgreSQL, a shop (legacy), its new service for orders (candidate),
and {clients} apps that read at all nodes in turn.

{nodes}
  routes   {routes}, the same file for all nodes
  logs     {folder}

Every node says the same, and takes commands for all. Try in another terminal:
  {strangler} status -c {routes}
  {strangler} diffs -c {routes}
  {strangler} kill-switch on -c {routes}
  NODE={last.name} ADMIN={last.admin} STATE={last.state} {strangler} kill-switch off -c {routes}

{kill}
Ctrl-C stops everything{and_removes}.
"""
_KILL: Final = (
    "After {after:g} s the control process of the node that leads is killed (kill -9). {again} does it again."
)
_COLUMNS: Final = "{time:>8}  {requests:>8}  {leader:<6}  {nodes}  {errors:>6}  {p50:>7}  {p95:>7}"


def guide(nodes: Sequence[NodePlace], folder: Path, options: DemoOptions, after_s: float, again: str) -> str:
    """Return what the demo begins with. `again`: what kills the leader once more."""
    return _GUIDE.format(
        number=len(nodes),
        clients=CLIENTS,
        nodes="\n".join(f"  node {node.name}   {node.proxy_url}/  dashboard {node.admin_url}/" for node in nodes),
        routes=folder / "routes.yaml",
        folder=folder,
        strangler=options.strangler,
        last=nodes[-1],
        kill=_KILL.format(after=after_s, again=again),
        and_removes="" if options.keep else " and removes the folder",
    )


def header(names: Sequence[str]) -> str:
    """Return the names of the columns of `line`."""
    nodes = "  ".join(f"{f'by {name}':>6}" for name in names)
    return _COLUMNS.format(
        time="time", requests="requests", leader="leader", nodes=nodes, errors="errors", p50="p50", p95="p95"
    )


def line(elapsed: str, leader: str, by_node: Mapping[str, int], names: Sequence[str], summary: Summary) -> str:
    """Return one row. by_node: responses of each node, of those that `summary` is made of."""
    return _COLUMNS.format(
        time=elapsed,
        requests=summary.requests,
        leader=leader,
        nodes="  ".join(f"{by_node.get(name, 0):>6}" for name in names),
        errors=summary.errors,
        p50=_milliseconds(summary.p50_ms),
        p95=_milliseconds(summary.p95_ms),
    )


def _milliseconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f} ms"


@dataclass(frozen=True, slots=True)
class FleetEnd:
    """The figures at the end: what the apps have counted, and what each node says that the fleet has."""

    requests: int
    errors: int
    shadowed: int
    names: Sequence[str]
    counts: Sequence[NodeCounts]
    dropped: int

    @property
    def is_complete(self) -> bool:
        """Whether every node has counted each response."""
        return all(counts.calls == self.requests - self.errors for counts in self.counts)

    def text(self) -> str:
        """Return the figures as the demo ends with them."""
        calls = ", ".join(
            f"node {name} {_number(each.calls)}" for name, each in zip(self.names, self.counts, strict=True)
        )
        pairs = ", ".join(
            f"node {name} {_number(each.pairs)}" for name, each in zip(self.names, self.counts, strict=True)
        )
        return (
            f"\n{self.requests} requests, {self.errors} errors.\n"
            f"Calls in the ledger: {calls}.\n"
            f"Comparisons of {self.shadowed} requests: {pairs}; {self.dropped} were dropped."
        )


def _number(value: int | None) -> str:
    return "says nothing" if value is None else str(value)
