"""The documents of recordings of a running proxy: what is wanted, and the lines that stand between the pairs."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from strangler.core.documents.actions import MAX_TEXT

LONGEST_RECORDING_S = 7 * 86400
MAX_RECORDED_BODY = 16 * 1024 * 1024
_MIB = 1024 * 1024


class RecordingRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Record what the proxy serves, for as long as the connection is open. It has either `routes` or `all`."""

    routes: Annotated[list[str], Meta(description="Names of routes.")] = []
    all: Annotated[bool, Meta(description="All routes, and what matches none.")] = False
    share: Annotated[float, Meta(gt=0, le=100, description="Percent of the callers.")] = 100.0
    for_s: Annotated[float, Meta(gt=0, le=LONGEST_RECORDING_S, description="Seconds, at most 7 days.")] = 3600.0
    max_bytes: Annotated[int, Meta(ge=_MIB, le=_MIB * _MIB, description="Of all lines, at least 1 MiB.")] = 1024 * _MIB
    max_body: Annotated[
        int, Meta(ge=0, le=MAX_RECORDED_BODY, description="Of longer bodies only the length is kept; at most 16 MiB.")
    ] = _MIB
    redact: Annotated[bool, Meta(description="False: secrets are sent as they are.")] = True
    who: Annotated[str, Meta(max_length=MAX_TEXT)] = ""
    goes_on: Annotated[
        str, Meta(max_length=40, description="`made` of a recording that was broken off: the same callers are chosen.")
    ] = ""


class RecordingProgress(Struct, frozen=True):
    """How far a recording is."""

    pairs: int
    bytes: Annotated[int, Meta(description="Of the lines of pairs.")]
    dropped: Annotated[dict[str, int], Meta(description="Requests that were lost, by reason.")]
    seconds: float
    ended: Annotated[
        str | UnsetType,
        Meta(
            description="In the last line: why it has ended.",
            extra_json_schema={"enum": ["time", "size", "settings", "shutdown"]},
        ),
    ] = UNSET


class RecordedLine(Struct, frozen=True):
    """The line that stands between the pairs each second, and at the end."""

    recorded: RecordingProgress
