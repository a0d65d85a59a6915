"""The places that a route's `redact` names, followed down a tree."""

from dataclasses import dataclass, field

from strangler.core.compare.accept_rules.jsonpath import Pattern
from strangler.core.compare.model.values import Step


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns, and how far each of them is met at one place of a document."""

    patterns: tuple[Pattern, ...]
    masks: tuple[int, ...] = field(default=())

    @property
    def are_met(self) -> bool:
        """True if a pattern names this place."""
        return any(mask & pattern.done for mask, pattern in zip(self._masks(), self.patterns, strict=True))

    def below(self, step: Step) -> "Patterns":
        """Return the patterns one step further down; None is an element of an array."""
        if not self.patterns:
            return self
        masks = (pattern.advance(mask, step) for mask, pattern in zip(self._masks(), self.patterns, strict=True))
        return Patterns(self.patterns, tuple(masks))

    def of_field(self, name: str) -> bool:
        """Return True if a pattern names a form's field, or its values."""
        below = self.below(name)
        return below.are_met or below.below(None).are_met

    def _masks(self) -> tuple[int, ...]:
        return self.masks or (1,) * len(self.patterns)
