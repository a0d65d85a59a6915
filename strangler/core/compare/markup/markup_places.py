"""The places of one comparison of markup, at which `found` collects differences."""

from dataclasses import dataclass, field
from typing import Protocol

from strangler.core.compare.accept_rules.accept import Accept
from strangler.core.compare.accept_rules.found import PathDifferences
from strangler.core.compare.accept_rules.places import below, is_stable_name, step_of, write_place
from strangler.core.compare.accept_rules.xmlpath import write_xml_path
from strangler.core.compare.markup.elements import Element, attribute_key, local_name
from strangler.core.compare.model.values import Kind, Steps
from strangler.core.privacy.secrets import NAMING_ATTRIBUTES, is_secret_name

Chain = tuple[str, ...]
"""The steps that lead to an element."""

_MAX_WORDS = 24
_UNSTABLE = "secret"
"""The word for a secret name that differs from page to page."""


@dataclass(slots=True)
class MarkupPlace:
    """A `found.BodyPath` of markup. `text`: the written place. `steps`: names on the way that may reveal secrets."""

    text: str
    steps: Steps
    accepts: tuple[Accept, ...]
    sites: dict[Kind, PathDifferences] = field(default_factory=dict)
    is_secret: bool = False
    """Always False, since the steps reveal secrets."""


class Writing(Protocol):
    """The way in which places are written, as selectors or as paths, and attributes are read."""

    def value_key(self, name: str, value: str) -> object:
        """Return what counts of an attribute's value."""

    def below(self, chain: Chain, *sides: Element, column: int | None = None) -> Chain:
        """Return the steps to a child of the element at `chain`; `sides`: the child on each side."""

    def write(self, chain: Chain, attribute: str | None = None) -> str: ...

    def words(self, element: Element) -> Chain:
        """Return the names of an element besides its place, such as the name of a form field."""


class HtmlWriting:
    """Places in HTML: `main > .price`, `main > a::attr(href)`."""

    def value_key(self, name: str, value: str) -> object:
        return attribute_key(name, value)

    def below(self, chain: Chain, *sides: Element, column: int | None = None) -> Chain:
        name = sides[0].name
        return below(chain, name, step_of(name, [side.attributes for side in sides], column))

    def write(self, chain: Chain, attribute: str | None = None) -> str:
        return write_place(chain, attribute)

    def words(self, element: Element) -> Chain:
        names = _names(element)
        return (element.name, *names) if "-" in element.name or is_secret_name(element.name) else names


class XmlWriting:
    """Places in XML: `/feed/entry/title`, `/feed/@version`."""

    def value_key(self, name: str, value: str) -> object:
        return value

    def below(self, chain: Chain, *sides: Element, column: int | None = None) -> Chain:
        return (*chain, local_name(sides[0].name))

    def write(self, chain: Chain, attribute: str | None = None) -> str:
        return write_xml_path(chain if attribute is None else (*chain, "@" + local_name(attribute)))

    def words(self, element: Element) -> Chain:
        return (local_name(element.name), *_names(element))


def _names(element: Element) -> Chain:
    values = (element.attributes.get(name) for name in NAMING_ATTRIBUTES)
    return tuple(value if is_stable_name(value) else _UNSTABLE for value in values if value and _is_telling(value))


def _is_telling(value: str) -> bool:
    return is_stable_name(value) or is_secret_name(value)


class PlacesState:
    """All places of one comparison; the elements of a list share one."""

    def __init__(self, writing: Writing) -> None:
        self._writing = writing
        self._places: dict[tuple[str, Steps, tuple[int, ...]], MarkupPlace] = {}

    def at(self, chain: Chain, words: Chain, accepts: tuple[Accept, ...], attribute: str | None = None) -> MarkupPlace:
        """Return the place at `chain`. `words`: those of the elements on the way; `accepts`: rules that cover it."""
        steps = words[-_MAX_WORDS:] if attribute is None else (*words[-_MAX_WORDS:], local_name(attribute))
        text = self._writing.write(chain, attribute)
        key = text, steps, tuple([rule.index for rule in accepts])
        place = self._places.get(key)
        if place is None:
            place = self._places[key] = MarkupPlace(text, steps, accepts)
        return place
