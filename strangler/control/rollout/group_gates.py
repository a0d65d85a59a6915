"""The gates of routes that climb together: all of them must hold."""

from collections.abc import Sequence

from strangler.core.gate import Verdict, worst
from strangler.core.settings import RouteSettings, Settings
from strangler.store.connection import Connection
from strangler.store.evidence import queries
from strangler.store.evidence.reading import NoEvidenceError, ask
from strangler.store.store import Store
from strangler.times import utc_day


async def find_gates(
    store: Store, settings: Settings, routes: Sequence[RouteSettings]
) -> tuple[Verdict, tuple[str, ...]]:
    """Return the worst verdict of all routes, and the reasons of those that are not ready, each with its route."""

    def work(connection: Connection) -> tuple[Verdict, tuple[str, ...]]:
        verdicts, reasons = [], []
        for route in routes:
            found = queries.ready(connection, settings, route.name, utc_day())
            verdict = Verdict.NOT_ENOUGH_EVIDENCE if found is None else Verdict(found.verdict)
            verdicts.append(verdict)
            if verdict is not Verdict.READY:
                text = "; ".join(found.reasons) if found is not None else "nothing was compared yet"
                reasons.append(f"route {route.name!r} is {verdict.value}: {text}")
        return worst(verdicts), tuple(reasons)

    try:
        return await ask(store, work)
    except NoEvidenceError as error:
        return Verdict.NOT_ENOUGH_EVIDENCE, (str(error),)
