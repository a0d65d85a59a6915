"""The rollouts of the report, read from the store: control writes their positions and moves."""

from strangler.core.documents import RolloutReport
from strangler.core.rollout.machine import RolloutState
from strangler.core.rollout_percents import rollout_groups
from strangler.core.settings import RouteSettings, Settings
from strangler.store.connection import Connection
from strangler.store.evidence.rollout_documents import move_document
from strangler.store.evidence.stored_rollouts import StoredRollout, load


def rollout_reports(connection: Connection, settings: Settings) -> list[RolloutReport]:
    """Return the rollout of each group of the settings, with its moves. Raises DatabaseError.

    A row that this version cannot read is left out: a rollout is reported with what is known of it.
    """
    rows = load(connection)
    return [_report(group, routes, rows.get(group)) for group, routes in rollout_groups(settings).items()]


def _report(group: str, routes: tuple[RouteSettings, ...], row: StoredRollout | None) -> RolloutReport:
    first = routes[0]
    assert first.rollout is not None
    state, percent = _stand(row, first.split.percent)
    return RolloutReport(
        group=group,
        routes=[route.name for route in routes],
        state=state.value,
        percent=percent,
        steps=list(first.rollout.steps),
        moves=[] if row is None else [move_document(move) for move in row.history],
    )


def _stand(row: StoredRollout | None, percent: float) -> tuple[RolloutState, float]:
    """Return where a rollout stands. `percent`: that of the settings, where the store has none that can be read.

    Without a row it was never started. Control pauses one whose row it cannot read.
    """
    if row is None:
        return RolloutState.WAITING, percent
    if row.kept is None:
        return RolloutState.PAUSED, percent
    return row.kept.position.state, row.kept.position.percent
