"""Accept rules that a baseline suggests, as a YAML patch for a person to judge. The program never applies them."""

import json
from collections.abc import Iterable

from strangler.core.compare.accept_rules.places import rule_for_place
from strangler.core.compare.model.noise import NoiseCount
from strangler.core.compare.model.values import Kind, Where

MIN_BASELINES = 20
"""The fewest pairs of legacy against itself: with fewer, a proposal would be a guess."""


def propose(route: str, counts: Iterable[NoiseCount], min_baselines: int = MIN_BASELINES) -> str | None:
    """Return a fragment of routes.yaml for one route, each rule with its evidence; None if there is nothing to propose.

    Noise in the order of an array becomes an `unordered` rule, all other noise an `accept` rule for its kind alone.
    Noise in the status has no rule.
    """
    noisy = [count for count in counts if count.is_noise and count.noise_pairs >= min_baselines]
    unordered = [count for count in noisy if _is_of_array(count)]
    accept = [count for count in noisy if count.key.in_ is not Where.STATUS and count not in unordered]
    if not accept and not unordered:
        return None
    lines = ["routes:", f"  - name: {_quoted(route)}", "    compare:"]
    for name, rules in (("accept", accept), ("unordered", unordered)):
        if rules:
            lines.append(f"      {name}:")
            lines += [line for count in rules for line in (f"        # {evidence(count)}", f"        - {_rule(count)}")]
    return "\n".join(lines) + "\n"


def _is_of_array(count: NoiseCount) -> bool:
    """Return True for the order of an array in JSON; the order of elements in markup has no rule of its own."""
    is_in_json = count.key.in_ is Where.BODY and (count.key.path or "$").startswith("$")
    return is_in_json and count.key.kind is Kind.ORDER


def evidence(count: NoiseCount) -> str:
    """Return text such as `$.at` differed in 412 of 412 pairs of legacy against itself (timestamp)."""
    what = f"`{count.key.path}`" if count.key.in_ is Where.BODY else f"header `{count.key.path}`"
    verb = {
        Kind.MISSING: "was missing",
        Kind.EXTRA: "was extra",
        Kind.ORDER: "changed order",
        Kind.LENGTH: "changed length",
    }
    shape = f" ({count.shape})" if count.shape else ""
    how = verb.get(count.key.kind, "differed")
    return f"{what} {how} in {count.noise} of {count.noise_pairs} pairs of legacy against itself{shape}"


def _rule(count: NoiseCount) -> str:
    path = _quoted(count.key.path or "$")
    if _is_of_array(count):
        return f"{{path: {path}}}"
    subject = f"header: {path}"
    if count.key.in_ is Where.BODY:
        key, place = rule_for_place(count.key.path or "$", count.key.kind)
        subject = f"{key}: {_quoted(place)}"
    why = f"noise: differed in {count.noise} of {count.noise_pairs} baseline pairs"
    if count.shape:
        why = f"{count.shape}: differed in {count.noise} of {count.noise_pairs} baseline pairs"
    return f"{{{subject}, kind: {count.key.kind.value}, why: {_quoted(why)}}}"


def _quoted(text: str) -> str:
    """Return a YAML string: JSON strings are YAML, too, and paths are always printable, so nothing needs \\u."""
    return json.dumps(text, ensure_ascii=False)
