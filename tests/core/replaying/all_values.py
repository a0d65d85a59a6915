"""All values of a response by place, for which pairs of responses are a quicker way."""

from strangler.core.compare.model.values import Response
from strangler.core.replaying.found_values import FoundValue, FoundValues, Place
from strangler.core.replaying.places import add_content, add_headers, content_within
from strangler.core.replaying.spots import path_thing


def values_by_place(response: Response, target: str) -> dict[Place, FoundValue]:
    """Return the values of a response by place. `target`: that of the request, which says what `$.id` is the id of."""
    found = FoundValues(path_thing(target))
    add_headers(response, found)
    content = content_within(response)
    if content is not None:
        add_content(content, found)
    return found.values
