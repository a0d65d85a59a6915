"""The split as Envoy makes it: xxHash64 of the sticky key chooses one of 10,000 buckets, which stand in the order of a
list of clusters. The candidate's share of each block of 100 buckets depends on where the group has that block."""

from functools import lru_cache
from typing import Final

from strangler.core.routing.arm import BUCKETS
from strangler.core.routing.split import block_order, hundredths
from strangler.core.settings import SplitSettings, StickySource
from strangler.envoy.matching import field_name
from strangler.envoy.resources import Resource

_BLOCKS: Final = 100
_BLOCK_BUCKETS: Final = BUCKETS // _BLOCKS


def is_divided(split: SplitSettings) -> bool:
    """Return whether a split sends some callers to each arm."""
    return 0 < hundredths(split.percent) < BUCKETS


def division(split: SplitSettings, candidate: str, legacy: str) -> Resource:
    """Return the part of a route's action that chooses between the clusters of both arms. Without sticky keys, and for
    a request that has none, chance decides."""
    share = hundredths(split.percent)
    if not split.sticky:
        return {"weighted_clusters": {"clusters": [_part(candidate, share), _part(legacy, BUCKETS - share)]}}
    parts = [
        _part(candidate if is_candidate else legacy, buckets) for is_candidate, buckets in intervals(split.group, share)
    ]
    return {
        "weighted_clusters": {"use_hash_policy": True, "clusters": parts},
        "hash_policy": [{**_source(source), "terminal": True} for source in split.sticky],
    }


@lru_cache(1024)
def intervals(group: str, share: int) -> tuple[tuple[bool, int], ...]:
    """Return the buckets in order, as lengths that are the candidate's (true) and legacy's in turn."""
    found: list[tuple[bool, int]] = []
    for place in _places(group):
        taken = min(max(share - place * _BLOCK_BUCKETS, 0), _BLOCK_BUCKETS)
        for is_candidate, buckets in ((True, taken), (False, _BLOCK_BUCKETS - taken)):
            if not buckets:
                continue
            if found and found[-1][0] is is_candidate:
                buckets += found.pop()[1]
            found.append((is_candidate, buckets))
    return tuple(found)


def _places(group: str) -> list[int]:
    """Return the place of each block in the group's order."""
    places = [0] * _BLOCKS
    for place, block in enumerate(block_order(group)):
        places[block] = place
    return places


def _part(cluster: str, buckets: int) -> Resource:
    return {"name": cluster, "weight": buckets}


def _source(source: StickySource) -> Resource:
    if source.kind == "header":
        return {"header": {"header_name": field_name(source.name)}}
    if source.kind == "cookie":
        return {"cookie": {"name": source.name}}
    return {"connection_properties": {"source_ip": True}}
