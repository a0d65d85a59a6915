"""The report as one self-contained HTML page, for a cutover meeting or a ticket."""

from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from html import escape

from strangler.cli import _inbox
from strangler.cli._ledger_page import ledger_section
from strangler.cli._rollout_section import rollout_section
from strangler.core.documents import (
    AuditEntry,
    ReportDocument,
    RouteReport,
    RuleReport,
    RuleUse,
    SignatureRow,
    VerdictDocument,
)
from strangler.core.gate import Latency, cut_percent
from strangler.store.evidence.side_by_side import value_text

Pictures = Callable[[RouteReport], Iterable[tuple[str, str]]]
"""Captions and SVG of a route."""

_STYLE = """
:root { color-scheme: light dark; --ink: #111827; --dim: #6b7280; --line: #e5e7eb; --paper: #ffffff; --soft: #f9fafb;
  --good: #0f766e; --bad: #b91c1c; --open: #b45309; }
@media (prefers-color-scheme: dark) { :root { --ink: #e5e7eb; --dim: #9ca3af; --line: #374151; --paper: #111827;
  --soft: #1f2937; --good: #2dd4bf; --bad: #f87171; --open: #fbbf24; } }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper); margin: 0 auto;
  max-width: 76rem; padding: 2rem 1.5rem 4rem; }
h1 { font-size: 1.5rem; margin: 0; } h2 { font-size: 1.2rem; margin: 3rem 0 0.25rem; }
h3 { font-size: 0.95rem; margin: 1.5rem 0 0.25rem; }
.dim { color: var(--dim); } .ready { color: var(--good); } .not-ready { color: var(--bad); }
.not-enough-evidence { color: var(--open); } .verdict { font-weight: 600; }
table { border-collapse: collapse; width: 100%; font-size: 0.9rem; }
th { text-align: left; font-weight: 600; color: var(--dim); } th, td { padding: 0.35rem 0.75rem 0.35rem 0;
  border-bottom: 1px solid var(--line); vertical-align: top; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
code { font: 0.85rem ui-monospace, monospace; overflow-wrap: anywhere; }
.breaking { color: var(--bad); font-weight: 600; } .risky { color: var(--open); font-weight: 600; }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: 0.75rem; margin: 1rem 0; }
.figures div { background: var(--soft); padding: 0.6rem 0.8rem; border-radius: 0.4rem; }
.figures b { display: block; font-size: 1.15rem; font-variant-numeric: tabular-nums; }
.pictures { display: grid; grid-template-columns: repeat(auto-fit, minmax(22rem, 1fr)); gap: 1.5rem; }
figure { margin: 0; } figcaption { font-size: 0.85rem; color: var(--dim); } svg { width: 100%; height: auto; }
svg text { font-family: system-ui, sans-serif; }
.wide { overflow-x: auto; } footer { margin-top: 4rem; font-size: 0.85rem; color: var(--dim); }
@media print { body { padding: 0; } h2 { break-before: page; } .summary h2 { break-before: auto; } }
"""


def page(report: ReportDocument, pictures: Pictures) -> str:
    """Return the whole page. Everything that came from outside is escaped."""
    at = datetime.fromtimestamp(report.at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    routes = report.routes
    parts = [
        f"<h1>Is the candidate ready?</h1><p class=dim>Written by strangler on {at}.</p>",
        _summary(routes),
        *(_route(route, pictures) for route in routes),
        rollout_section(report.rollouts),
        ledger_section(report.ledger),
        _audit(report.audit),
        _WORDS,
    ]
    return (
        "<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
        '<meta name=viewport content="width=device-width, initial-scale=1">'
        f"<title>Strangler report, {at}</title><style>{_STYLE}</style></head><body>\n"
        + "\n".join(parts)
        + "\n</body></html>\n"
    )


_WORDS = """<footer><p><b>Pair</b>: one request served by both arms; only pairs that can be compared count.
<b>Match</b>: pairs without a difference, or with accepted ones only, as judged now by the rules in force, for the
current release of the candidate unless another was chosen; the lower bound (95 %) holds however often one
looks. <b>Breaking</b>: a client of legacy may fail. <b>Risky</b>: it may behave differently.
<b>Additive</b>: something new. <b>Value</b>: another value. <b>Time ratio</b>: the candidate's response time divided
by legacy's for the same request, sent to both alike; with its 95 % interval (bootstrap, of one look). Redacted values
appear as <code>redacted:…</code>, equal ones alike.</p></footer>"""


def _summary(routes: Iterable[RouteReport]) -> str:
    rows = "".join(
        f"<tr><td><a href='#{escape(route.name)}'>{escape(route.name)}</a></td><td>{_verdict(route)}</td>"
        f"<td class=number>{route.percent:g} %</td><td class=number>{route.readiness.pairs:,}</td>"
        f"<td class=number>{_percent(route.readiness.match_share)}</td>"
        f"<td class=number>{route.readiness.breaking_open:,}</td>"
        f"<td class=number>{_ratio(route.readiness.latency)}</td></tr>"
        for route in routes
    )
    return (
        "<table><thead><tr><th>route</th><th>verdict</th><th class=number>at the candidate</th>"
        "<th class=number>pairs</th><th class=number>match</th><th class=number>breaking, open</th>"
        f"<th class=number>time ratio</th></tr></thead><tbody>{rows}</tbody></table>"
    )


def _verdict(route: RouteReport) -> str:
    verdict = route.readiness.verdict
    return f"<span class='verdict {verdict.replace(' ', '-')}'>{verdict}</span>"


def _route(route: RouteReport, pictures: Pictures) -> str:
    found = route.readiness
    name = escape(route.name)
    reasons = "".join(f"<li>{escape(reason)}</li>" for reason in found.reasons)
    reasons += "".join(f"<li class=dim>{escape(note)}</li>" for note in found.notes)
    release = f" release {escape(found.release)}," if found.release else ""
    drawn = "".join(f"<figure>{svg}<figcaption>{escape(text)}</figcaption></figure>" for text, svg in pictures(route))
    return "\n".join(
        [
            f"<section><h2 id='{name}'>{name}: {_verdict(route)}</h2>",
            f"<p class=dim>candidate {escape(route.candidate)},{release} {route.percent:g} % of callers;"
            f" {route.shadow_percent:g} % of requests get a shadow; counted: {' and '.join(found.sources)}</p>",
            f"<ul>{reasons}</ul>" if reasons else "",
            _figures(found),
            f"<div class=pictures>{drawn}</div>" if drawn else "",
            _signatures(route.signatures),
            _endpoints(found),
            _rules(route.rules),
            "</section>",
        ]
    )


def _figures(found: VerdictDocument) -> str:
    gate = found.gate
    not_comparable = sum(found.not_comparable.values())
    cells = [
        ("pairs", f"{found.pairs:,}", f"{gate.min_pairs:,} required"),
        ("match", _percent(found.match_share), f"{_percent(gate.min_match)} required"),
        ("match, lower bound", _percent(found.match_low), "95 %, however often one looks"),
        ("breaking, open", f"{found.breaking_open:,}", f"{gate.max_breaking:,} allowed"),
        ("time ratio, median", _ratio(found.latency), f"{gate.max_latency_ratio:g} allowed"),
        ("observed", f"{found.age_s / 3600:.1f} h", f"{gate.min_age_s / 3600:g} h required"),
        ("set aside", f"{found.set_aside:,}", "differed only in what is now fixed"),
        ("not comparable", f"{not_comparable:,}", _reasons(found.not_comparable)),
    ]
    return (
        "<div class=figures>"
        + "".join(
            f"<div><span class=dim>{name}</span><b>{value}</b><span class=dim>{escape(note)}</span></div>"
            for name, value, note in cells
        )
        + "</div>"
    )


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in counts.items())


def _signatures(rows: Iterable[SignatureRow]) -> str:
    made = "".join(_signature(row) for row in rows)
    if not made:
        return "<p class=dim>No differences were found.</p>"
    return (
        "<h3>Differences, most severe first</h3><div class=wide><table><thead><tr><th>severity</th><th>state</th>"
        "<th>endpoint</th><th>where</th><th>legacy</th><th>candidate</th><th class=number>count</th>"
        f"<th class=number>share</th><th>owner</th></tr></thead><tbody>{made}</tbody></table></div>"
    )


def _signature(row: SignatureRow) -> str:
    noise = " <span class=dim>noise</span>" if row.is_noise else ""
    sources = _inbox.by_source(row)
    seen = f"{row.count:,}" + (f" <span class=dim>({sources})</span>" if sources else "")
    return (
        f"<tr><td class={row.severity}>{row.severity}</td><td>{row.state}{noise}</td>"
        f"<td><code>{escape(row.endpoint)}</code></td>"
        f"<td><code>{escape(_inbox.where(row))}</code> <span class=dim>{row.kind}</span></td>"
        f"<td>{_value(value_text(row, 'legacy'))}</td><td>{_value(value_text(row, 'candidate'))}</td>"
        f"<td class=number>{seen}</td><td class=number>{_inbox.share(row.share)}</td>"
        f"<td>{escape(row.owner or '')}</td></tr>"
    )


def _value(text: str) -> str:
    return f"<code>{escape(text if len(text) <= 120 else text[:119] + '…')}</code>"


def _endpoints(found: VerdictDocument) -> str:
    thin = found.thin_endpoints
    if not thin:
        return ""
    names = ", ".join(f"<code>{escape(name)}</code> ({found.endpoints[name]})" for name in thin[:20])
    return f"<h3>Endpoints with few pairs</h3><p>{names}{' …' if len(thin) > 20 else ''}</p>"


def _rules(report: RuleReport | None) -> str:
    if report is None or not report.rules:
        return ""
    items = "".join(
        f"<li><code>{escape(rule.rule)}</code>: {_use(rule, report.comparisons)}</li>" for rule in report.rules
    )
    return f"<h3>Accept rules</h3><ul>{items}</ul>"


def _use(rule: RuleUse, comparisons: int) -> str:
    if rule.is_expired:
        return "<span class=risky>expired</span>, no longer counts"
    text = f"accepted something in {rule.uses:,} of {comparisons:,} comparisons"
    return f"{text} <span class=risky>(dead)</span>" if rule.is_dead else text


def _audit(lines: Iterable[AuditEntry]) -> str:
    rows = "".join(
        f"<tr><td>{_inbox.moment(line.at)}</td><td>{escape(line.who)}</td><td>{escape(line.what)}</td>"
        f"<td>{escape(line.route)}</td><td>{escape(line.detail)}</td><td>{escape(line.why)}</td></tr>"
        for line in lines
    )
    if not rows:
        return ""
    return (
        "<section><h2>What was changed</h2><table><thead><tr><th>when</th><th>who</th><th>what</th><th>route</th>"
        f"<th>detail</th><th>why</th></tr></thead><tbody>{rows}</tbody></table></section>"
    )


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{cut_percent(value):.3f} %"


def _ratio(latency: Latency | None) -> str:
    if latency is None:
        return "-"
    median = latency.median
    return f"{median.value:.2f} ({median.low:.2f}–{median.high:.2f})"
