"""libyaml's errors, explained with a way out."""

import re
from typing import Final

import yaml

MAX_DEPTH: Final = 64
"""Most levels of nested values."""

_SYNTAX: Final = (
    # libyaml's words; what is wrong; the way out
    (
        "exceeded maximum nesting depth",  # PyYAML 6.0.4 stops there itself, before the first event
        f"values are nested deeper than {MAX_DEPTH} levels",
        "nothing here needs more than ten",
    ),
    (
        "mapping values are not allowed",
        "a second ': ' stands where a value has begun",
        "put a value that holds ': ' in quotes, or check the indentation of this line and the one before",
    ),
    (
        "did not find expected key",
        "a key was expected here",
        "check the indentation, and that quotes and brackets before it are closed",
    ),
    (
        "did not find expected '-' indicator",
        "a list item was expected here",
        "align it with the items before, each starting with '- '",
    ),
    (
        "did not find expected ',' or ']'",
        "a list that starts with '[' is not closed",
        "separate its items with ',' and close it with ']'",
    ),
    (
        "did not find expected ',' or '}'",
        "a mapping that starts with '{' is not closed",
        "separate its entries with ',' and close it with '}'",
    ),
    (
        "did not find expected <document start>",
        "text follows the end of the top value",
        "put every key at the left edge, and quote a value that starts with '['",
    ),
    (
        "did not find expected node content",
        "no value can start here",
        "put a value that starts with '[', '{', '*', '&' or '!' in quotes, such as '[::1]:8080'",
    ),
    ("incompatible YAML document", "this version of YAML is not known", "take the line that starts with %YAML out"),
    ("could not find expected ':'", "a line has a key without ':'", "write `key: value`"),
    ("found unknown escape character", "this escape is not known", "use single quotes, or write a backslash twice"),
    ("found undefined tag handle", "tags are not understood", "take it out, or put the value in quotes"),
    ("block sequence entries are not allowed", "a list item cannot start here", "put it on a line of its own"),
)


def explained(error: yaml.MarkedYAMLError, line: str, column: int) -> tuple[str, str]:
    if "\t" in line[: len(line) - len(line.lstrip(" \t"))]:
        return "the line is indented with a tab", "YAML allows only spaces there"
    problem = error.problem or ""
    if "cannot start any token" in problem:
        character = line[column : column + 1]
        if character == "\t":
            return "a tab stands where a value should start", "use spaces"
        return f"a value cannot start with '{character}'", "put it in quotes"
    if "${" in line and "or '}'" in problem:
        return "inside { }, the '}' of a variable ends the mapping", 'put it in quotes, as "${NAME}"'
    if re.search(r"/\{\w*\}", line) and "or '}'" in problem:
        return "inside { }, a path with {name} needs quotes", 'write "/orders/{id}"'
    for words, what, way_out in _SYNTAX:
        if words in problem:
            return what, way_out
    return f"this is not YAML: {problem or error.context}", "check the quotes, brackets and indentation here"
