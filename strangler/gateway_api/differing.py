"""The comparison of manifests that lie somewhere with those that the settings lead to."""

from collections.abc import Iterator, Sequence
from typing import Any

Manifest = dict[str, Any]


def manifest_differences(found: Sequence[Manifest], wanted: Sequence[Manifest]) -> list[str]:
    """Return the differences as lines. Raises LookupError or TypeError if something is no manifest."""
    there, here = {_name(each): each for each in found}, {_name(each): each for each in wanted}
    lines: list[str] = []
    for name in dict.fromkeys((*here, *there)):
        if name not in there:
            lines.append(f"{name}: is missing there")
        elif name not in here:
            lines.append(f"{name}: is there and not in routes.yaml")
        else:
            lines += [f"{name}: {line}" for line in _walk(there[name], here[name], "")]
    return lines


def _name(manifest: Manifest) -> str:
    metadata = manifest["metadata"]
    place = f"{metadata['namespace']}/" if "namespace" in metadata else ""
    return f"{manifest['kind']} {place}{metadata['name']}"


def _walk(found: Any, wanted: Any, path: str) -> Iterator[str]:
    if isinstance(found, dict) and isinstance(wanted, dict):
        for key in dict.fromkeys((*wanted, *found)):
            inner = f"{path}.{key}".removeprefix(".")
            if key in found and key in wanted:
                yield from _walk(found[key], wanted[key], inner)
            else:
                yield f"{inner} is {'there and not in routes.yaml' if key in found else 'missing there'}"
    elif isinstance(found, list) and isinstance(wanted, list):
        for place, (lying, own) in enumerate(zip(found, wanted, strict=False)):
            yield from _walk(lying, own, f"{path}[{place}]")
        if len(found) != len(wanted):
            yield f"{path} has {len(found)} items there, not {len(wanted)}"
    elif found != wanted:
        yield f"{path} is {found!r} there, not {wanted!r}"
