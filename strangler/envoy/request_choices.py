"""Choices before the trees of paths: matchers that choose a part of the configuration by a request's fields."""

from collections.abc import Mapping, Sequence
from typing import Final

from strangler.envoy.matching import READS
from strangler.envoy.path_guard import CLEAN, LONG
from strangler.envoy.request_kinds import RequestKind
from strangler.envoy.resources import Resource

_INPUT: Final = "type.googleapis.com/envoy.type.matcher.v3.HttpRequestHeaderMatchInput"


def _field(name: str) -> Resource:
    return {"name": name.lstrip(":"), "typed_config": {"@type": _INPUT, "header_name": name}}


PATH: Final = _field(":path")
_METHOD: Final = _field(":method")
_UPGRADE: Final = _field("upgrade")

Choices = Sequence[tuple[Resource, Resource]]
"""Conditions, each with what it leads to."""


def choice(choices: Choices, rest: Resource) -> Resource:
    """Return what leads to the first choice whose condition holds, else to the rest."""
    matchers = [{"predicate": condition, "on_match": leads_to} for condition, leads_to in choices]
    return {"matcher": {"matcher_list": {"matchers": matchers}, "on_no_match": rest}}


def by_kind(parts: Mapping[RequestKind, Resource]) -> tuple[Choices, Resource]:
    """Return the choices between the parts for each kind of requests, as few as there are different parts."""
    tunnel, read, write = (parts[kind] for kind in RequestKind)
    choices = [] if tunnel == read else [(_all_of(_value(_UPGRADE, _regex(".*")), _method("GET")), tunnel)]
    if read != write:
        choices.append((_any_of(*map(_method, READS)), read))
    return choices, write


def unclean() -> Resource:
    """Return the condition of paths that no tree is entered with."""
    clean = _value(PATH, _regex(CLEAN))
    return _any_of({"not_matcher": clean}, _value(PATH, _regex(LONG)))


def _method(name: str) -> Resource:
    return _value(_METHOD, {"exact": name})


def _value(field: Resource, match: Resource) -> Resource:
    return {"single_predicate": {"input": field, "value_match": match}}


def _regex(text: str) -> Resource:
    return {"safe_regex": {"google_re2": {}, "regex": text}}


def _any_of(*conditions: Resource) -> Resource:
    return {"or_matcher": {"predicate": list(conditions)}}


def _all_of(*conditions: Resource) -> Resource:
    return {"and_matcher": {"predicate": list(conditions)}}
