"""What a reviewer says of a difference: the accept rule that it takes, and writing it into routes.yaml."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from strangler.config.document import MAX_BYTES
from strangler.config.edit import EditError
from strangler.config.edit_accept import add_accept
from strangler.config.replace import ChangedMeanwhileError, NotWrittenError, replace_content
from strangler.config.scalars import day
from strangler.control.shadow.reading import path_steps
from strangler.core.settings import AcceptRule

_BOM = b"\xef\xbb\xbf"


class ReviewError(Exception):
    """Nothing was changed; the message says why."""


def cannot_accept(row: Mapping[str, Any]) -> str | None:
    """Why no rule can accept a signature; None if one can."""
    if row["in"] == "status":
        return "a status cannot be accepted: clients act on it"
    if row["in"] == "body" and path_steps(row["path"]) is None:
        return f"{row['path']} is no single place in the answers; write a rule by hand"
    return None


def accept_rule(row: Mapping[str, Any], owner: str | None, until: str | None, why: str) -> AcceptRule:
    """The rule that accepts a signature. Raises ReviewError."""
    reason = cannot_accept(row)
    if reason is not None:
        raise ReviewError(reason)
    try:
        last = None if until is None else day(until)
    except ValueError as error:
        raise ReviewError(f"until: {error}") from None
    path, header = (row["path"], None) if row["in"] == "body" else (None, row["path"])
    return AcceptRule(path=path, header=header, kind=row["kind"], owner=owner, until=last, why=why)


def write_rule(path: Path, environ: Mapping[str, str], route: str, rule: AcceptRule) -> None:
    """Add the rule to a route of routes.yaml; every other byte stays. Raises ReviewError."""
    try:
        with path.open("rb") as file:
            before = file.read(MAX_BYTES + 1)
        edit = add_accept(before.decode("utf-8-sig"), str(path), route, rule, environ)
        bom = _BOM if before.startswith(_BOM) else b""
        replace_content(path, before, bom + edit.after.encode())
    except UnicodeDecodeError:
        raise ReviewError(f"{path} is not UTF-8") from None
    except EditError as error:
        raise ReviewError(str(error)) from None
    except ChangedMeanwhileError:
        raise ReviewError("somebody else is editing routes.yaml; try again") from None
    except NotWrittenError as error:
        raise ReviewError(f"{path} cannot be written: {error}") from None
    except OSError as error:
        raise ReviewError(f"{path} cannot be read: {error.strerror}; see to it, and try again") from None
