"""Rules that join several keys, asked of all that is sound by itself."""

from strangler.config import schema
from strangler.config.document import Document
from strangler.config.notes import Notes
from strangler.config.problem import Problem
from strangler.config.scalars import did_you_mean


def check(file: schema.File, document: Document) -> list[Problem]:
    """Everything that the rules find, errors and warnings."""
    notes = Notes(document)
    known = notes.names(("upstreams",)) | set(file.upstreams.by_name)
    for index, route in enumerate(file.routes):
        if route.candidate is not None and route.candidate not in known:
            notes.error(
                ("routes", index, "candidate"), f"unknown upstream '{route.candidate}'", did_you_mean(route.candidate, known)
            )
    return notes.found
