# Compiled with mypyc: see docs/hot-path.md.
"""State machines as tables. A state and event that are not in the table are a bug; the error names both."""

from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

_State = TypeVar("_State", bound=StrEnum)
_Event = TypeVar("_Event", bound=StrEnum)


def next_state(table: Mapping[tuple[_State, _Event], _State], state: _State, event: _Event) -> _State:
    """Return the state after `event`. Raise `ValueError`, naming both, for a pair that is not in the table."""
    try:
        return table[state, event]
    except KeyError:
        raise ValueError(f"{type(state).__name__}: no transition from {state.name} on {event.name}") from None


def diagram(table: Mapping[tuple[_State, _Event], _State], first: _State) -> str:
    """Return the table as a Mermaid state diagram, for the docs."""
    arrows = [f"    {before} --> {after}: {event}" for (before, event), after in table.items()]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {first}", *arrows])
