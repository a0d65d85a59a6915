"""The warnings of what another program does not keep of the file, each at its key."""

from collections.abc import Callable, Iterable

from strangler.config.document import Document, Loc
from strangler.config.notes import Notes
from strangler.config.problem import Problem
from strangler.config.validate import where
from strangler.core.loss import Loss
from strangler.core.settings import Settings

Losses = Callable[[Settings], Iterable[Loss]]
"""Tells what is lost of settings."""

_NAMED = 2
"""The most subjects that one warning names."""


def lost_keys(document: Document, settings: Settings, losses: Losses | None) -> list[Problem]:
    """Return a warning for each key that is written and lost, and one for each kind of defaults.

    `losses`: what the other program loses; None: that of the engine which the file has.
    """
    notes, defaults = Notes(document), dict[tuple[str, str, str], list[Loc]]()
    for loss in _engine_losses(settings) if losses is None else losses(settings):
        if notes.is_written(loss.loc) or isinstance(loss.loc[-1], int):
            notes.warning(loss.loc, f"{notes.key(loss.loc)} {loss.what}", loss.instead)
        elif loss.counts_unwritten:
            defaults.setdefault((loss.key, loss.what, loss.instead), []).append(loss.loc)
    for (key, what, instead), locs in defaults.items():
        subjects = _subjects(document, locs)
        notes.warning(("engine",), f"the default of {key} {what}{f' ({subjects})' if subjects else ''}", instead)
    return notes.found


def _engine_losses(settings: Settings) -> Iterable[Loss]:
    if settings.engine != "envoy":
        return ()
    from strangler.envoy.losses import losses  # only a file with that engine pays for it

    return losses(settings)


def _subjects(document: Document, locs: list[Loc]) -> str:
    """Return `route 'a', route 'b' and 3 more`."""
    names = [name for loc in locs if (name := where(document, loc))]
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
