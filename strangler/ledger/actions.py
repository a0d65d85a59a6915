"""The changes that an operator makes to the ledger, each returning a sentence that says what was done."""

from collections.abc import Generator, Iterable

import msgspec

from strangler.core.documents import ImportedSum, LedgerImportedDocument, LedgerImportRequest
from strangler.core.ledger.callers import MAX_NAME
from strangler.core.ledger.examples import MAX_EXAMPLE
from strangler.core.ledger.log_sums import MAX_METHOD
from strangler.core.ledger.named_templates import named_segments
from strangler.core.ledger.rows import LEGACY, MAX_ROWS, CallSum, EndpointRow
from strangler.core.ledger.segments import HOLE, REST, joined_segments
from strangler.core.ledger.word_classes import OVERFLOW
from strangler.core.time_buckets import BOUNDS_S
from strangler.ledger.ledger_state import MAX_IMPORTS, EndpointSum, LedgerState
from strangler.ledger.steps import at_once

MAX_FOLDS = 1000
"""The templates that the operator may name with `fold`."""
MAX_OWNER = 100
"""The longest name of an owner, in characters."""
MAX_CALLS = 10**12
"""The most calls of one sum of an imported log."""
MAX_PATH = 2000
"""The longest path of an import, in characters."""
SUMS_IN_A_STEP = 500
_HOUR_S = 3600.0


class LedgerError(Exception):
    """Nothing was changed; the text says why, and the way out."""


class RowChange(msgspec.Struct, frozen=True):
    """A change that an operator makes: `fold`, `unfold`, `ignore` or `own`."""

    what: str
    endpoint: str
    name: str = ""
    """The name of the owner."""


def apply_change(state: LedgerState, change: RowChange) -> str:
    """Make a change, and return what was done. Raises LedgerError."""
    match change.what:
        case "fold":
            return fold(state, change.endpoint)
        case "unfold":
            return unfold(state, change.endpoint)
        case "ignore":
            return ignore(state, change.endpoint)
        case "own":
            return own(state, change.endpoint, change.name)
    raise LedgerError(f"this node knows no change {change.what[:40]!r} of the ledger; run one version on all nodes")


def fold(state: LedgerState, endpoint: str) -> str:
    """Make all paths that a template covers one endpoint, for each method. Raises LedgerError."""
    template = _template(endpoint)
    if HOLE not in template and REST not in template:
        raise LedgerError(
            f"{template} has no {{}}; write {{}} for the segment whose values are one endpoint: /shops/{{}}"
        )
    names = state.names
    if template in (*names.folded, *names.listed, *map(_template, names.of_routes)):
        raise LedgerError(f"{template} is one endpoint already")
    if len(names.folded) >= MAX_FOLDS:
        raise LedgerError(f"{MAX_FOLDS} templates are folded already; `strangler ledger unfold` undoes one")
    before = len(state.rows.rows)
    names.folded.append(template)
    state.apply_names()
    joined = before - len(state.rows.rows)
    return f"{template} is one endpoint now" + (f", which {joined + 1} were before" if joined else "")


def unfold(state: LedgerState, endpoint: str) -> str:
    """Undo a fold: paths that come from now on are endpoints of their own. Raises LedgerError."""
    template = _template(endpoint)
    names, text = state.names, f"{template} is folded no more: from now on its paths are endpoints of their own"
    for given in (names.folded, names.listed):
        if template in given:
            given.remove(template)
            state.apply_names()
            return text
    if template in map(_template, names.of_routes):
        raise LedgerError(f"{template} stands in routes.yaml, as `match.path` or in `fold`; change it there")
    if not state.tree.unfold(template):
        way_out = "list its paths with `strangler ledger import` to have rows of their own"
        raise LedgerError(f"{template} was not learned from words: the form of its values tells; {way_out}")
    state.follow_folds()
    return text


def ignore(state: LedgerState, endpoint: str) -> str:
    """Hide an endpoint, or show again one that is hidden. Raises LedgerError."""
    row = _row(state, endpoint)
    row.is_ignored = not row.is_ignored
    _touch(state, row)
    if not row.is_ignored:
        return f"{row.endpoint} is shown and counted again"
    return f"{row.endpoint} is hidden, and counts for nothing; `strangler ledger ignore` again shows it"


def own(state: LedgerState, endpoint: str, name: str) -> str:
    """Name who answers for an endpoint; an empty name is nobody. Raises LedgerError."""
    name = name.strip()
    if len(name) > MAX_OWNER or not name.isprintable():
        raise LedgerError(f"the owner's name must be printable, and have at most {MAX_OWNER} characters")
    row = _row(state, endpoint)
    row.owner = name or None
    _touch(state, row)
    return f"{row.endpoint} belongs to {name}" if name else f"{row.endpoint} belongs to nobody"


def apply_import(
    state: LedgerState, request: LedgerImportRequest, quiet_s: float, now: float
) -> LedgerImportedDocument:
    """Take over a list of endpoints, or the calls of a log. Raises LedgerError; nothing has changed then."""
    return at_once(import_steps(state, request, quiet_s, now))


def import_steps(
    state: LedgerState, request: LedgerImportRequest, quiet_s: float, now: float
) -> Generator[None, None, LedgerImportedDocument]:
    """Do the same in steps of some milliseconds. Nothing must be saved before the last of them."""
    if request.digest in state.imports:
        raise LedgerError(f"this file was imported already, as {state.imports[request.digest]}; nothing was changed")
    _check(request, now)
    before = set(state.rows.rows)
    if request.endpoints:
        _list(state, request.endpoints, now)
    for at in range(0, len(request.sums), SUMS_IN_A_STEP):
        state.count([_sum(each) for each in request.sums[at : at + SUMS_IN_A_STEP]], quiet_s)
        yield
    for at, (method, template) in enumerate({(each.method, each.template) for each in request.sums}):
        row = state.rows.rows.get(f"{method} {state.tree.template_of_first(template)}")
        if row is not None and row.endpoint not in before and row.first_seen is not None:
            row.source = "import"
            state.rows.spare.pop(row.endpoint, None)
        if at % SUMS_IN_A_STEP == 0:
            yield
    if request.began is not None and request.ended is not None:
        state.watch.add(request.began, request.ended)
        state.has_imported_watch = True
    state.imports[request.digest] = request.name[:200]
    while len(state.imports) > MAX_IMPORTS:
        del state.imports[next(iter(state.imports))]
    return LedgerImportedDocument(
        new_endpoints=len(state.rows.rows.keys() - before),
        endpoints=len(state.rows.rows),
        calls=sum(each.calls for each in request.sums),
    )


def _list(state: LedgerState, endpoints: Iterable[tuple[str, str]], now: float) -> None:
    wanted = [(method.upper(), _template(path)) for method, path in endpoints]
    known = set(state.names.listed)
    new = [template for template in dict.fromkeys(template for _, template in wanted) if template not in known]
    state.names.listed += new[: max(0, MAX_ROWS - len(known))]
    state.apply_names()
    called = {row.template for row in state.rows.rows.values()}
    for method, path in wanted:
        template = state.tree.template_of_first(path)
        if (method == "*" and template in called) or template.endswith(OVERFLOW):
            continue
        row = state.rows.row_of(method, template, "import", now)
        if row.first_seen is None and row.source == "traffic":  # only probes have called it: it exists all the same
            row.source = "import"
            _touch(state, row)
            state.rows.spare.pop(row.endpoint, None)


def _sum(each: ImportedSum) -> EndpointSum:
    calls = CallSum(each.at, LEGACY, each.status, each.caller[:MAX_NAME], each.calls, tuple(each.buckets))
    return EndpointSum(each.method, each.template, each.example[:MAX_EXAMPLE], calls)


def _check(request: LedgerImportRequest, now: float) -> None:
    """Raise LedgerError for what no reader of a file sends."""
    sizes = (0, len(BOUNDS_S) + 1)
    endpoints = [*request.endpoints, *((each.method, each.template) for each in request.sums)]
    if any(len(method) > MAX_METHOD or len(path) > MAX_PATH for method, path in endpoints):
        raise LedgerError(f"a method has at most {MAX_METHOD} characters, and a path {MAX_PATH}; correct the file")
    for each in request.sums:
        if not 0 < each.calls <= MAX_CALLS or len(each.buckets) not in sizes or min(each.buckets, default=0) < 0:
            raise LedgerError(f"{each.method} {each.template}: its calls are no counts; import the file again")
        if not 0 <= each.at <= now + _HOUR_S:
            raise LedgerError(f"{each.method} {each.template}: a call of the log is later than now; correct its clock")
    began, ended = request.began, request.ended
    if began is not None and ended is not None and not 0 <= began <= ended <= now + _HOUR_S:
        raise LedgerError("the log ends before it begins, or later than now; correct its times")


def _row(state: LedgerState, endpoint: str) -> EndpointRow:
    row = state.find(endpoint)
    if row is None:
        raise LedgerError(f"there is no endpoint {endpoint[:200]!r}; `strangler ledger` lists them")
    return row


def _touch(state: LedgerState, row: EndpointRow) -> None:
    state.rows.changed.setdefault(row.endpoint, set())


def _template(endpoint: str) -> str:
    """Return the template of an endpoint, `GET /orders/{id}`, or of a path alone."""
    path = endpoint.strip()
    if not path.startswith("/"):
        path = path.partition(" ")[2].strip()
    if not path.startswith("/") or path == f"/{OVERFLOW}":
        raise LedgerError(f"{endpoint[:200]!r} is no endpoint; write a method and a path: 'GET /orders/{{}}'")
    return joined_segments(named_segments(path))
