"""Readers of written numbers: integers, durations, sizes, percents, shares and tolerances.

Every function takes the text of a scalar and raises ValueError with the way out.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Final, Literal

INTEGER_PATTERN = r"^[0-9]+(_[0-9]+)*$"
DURATION_PATTERN = r"^([0-9]+(\.[0-9]+)?(ms|s|m|h|d)|0)$"
SIZE_PATTERN = r"^[0-9]+(_[0-9]+)*(B|KiB|MiB|GiB|kB|KB|MB|GB)?$"
PERCENT_PATTERN = r"^[0-9]+(\.[0-9]{1,2})?[ ]?%?$"
DECIMAL_PATTERN = r"^[0-9]+(\.[0-9]+)?$"
NUMBER_PATTERN = r"^[0-9]+(\.[0-9]+)?([eE][-+]?[0-9]{1,3})?$"  # `1e-05` is text to YAML 1.1, but a number to its author

_INTEGER = re.compile(INTEGER_PATTERN)
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)")
_SIZE = re.compile(r"([0-9]+(?:_[0-9]+)*)(B|KiB|MiB|GiB|kB|KB|MB|GB)?")
_PERCENT = re.compile(r"(-?[0-9]+(?:\.[0-9]*)?) ?%?")
_DECIMAL = re.compile(DECIMAL_PATTERN)
_NUMBER = re.compile(NUMBER_PATTERN)
_MAX_POWER = 999
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_BYTES = {
    "B": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "kB": 10**3, "KB": 10**3, "MB": 10**6, "GB": 10**9
}  # fmt: skip
_LONGEST_S = 366 * 86400.0
_LARGEST = 1 << 50


def integer(low: int, high: int) -> Callable[[str], int]:
    """Return a reader of whole numbers from `low` to `high`; `1_000` is 1000."""

    def read(text: str) -> int:
        limits = f"it must be a whole number from {low} to {high}"
        text = _digits(text)
        if _INTEGER.fullmatch(text) is None or len(text) > 20:
            raise ValueError(limits)
        if len(text) > 1 and text[0] == "0":
            raise ValueError("a number with a leading zero can be read in two ways; leave the zero out")
        value = int(text)
        if not low <= value <= high:
            raise ValueError(limits)
        return value

    return read


def decimal_number(low: float, high: float) -> Callable[[str], float]:
    """Return a reader of numbers such as `1.1` or `11e-1`."""

    def read(text: str) -> float:
        value = float(text) if _NUMBER.fullmatch(text) and len(text) <= 20 else -1.0
        if not low <= value <= high:
            raise ValueError(f"it must be a number from {low:g} to {high:g}")
        return value

    return read


def duration(text: str, *, zero: bool, longest_s: float = _LONGEST_S) -> float:
    """Return the seconds of `250ms`, `2s`, `1.5s`, `5m`, `24h` or `7d`; with `zero` also of `0`."""
    found = _DURATION.fullmatch(text)
    if found is None and text == "0":
        seconds = 0.0
    elif found is None or len(text) > 20:
        raise ValueError(_duration_way_out(text))
    else:
        seconds = round(float(found[1]) * _SECONDS[found[2]], 6)
    if seconds > longest_s:
        limit = "a year" if longest_s == _LONGEST_S else duration_text(longest_s)
        raise ValueError(f"it must be at most {limit}; for no limit write none, where the key allows it")
    if seconds == 0 and not zero:
        raise ValueError("it must be longer than 0")
    return seconds


def _duration_way_out(text: str) -> str:
    if re.fullmatch(r"[0-9]+(:[0-9]+)+", text):
        return "a clock time can be read in two ways; write a duration with its unit, such as 750s"
    if _DECIMAL.fullmatch(text):
        return f"a duration needs a unit; write {text}s, {text}ms or {text}m"
    if text.startswith("-"):
        return "a duration cannot be negative"
    meant = _spelt_out(text)
    return f"write {meant}" if meant else "write a duration such as 250ms, 2s, 5m or 24h"


_UNIT_WORDS = {
    "ms": ("ms", "msec", "msecs", "milli", "millis", "millisecond", "milliseconds"),
    "s": ("s", "sec", "secs", "second", "seconds"),
    "m": ("m", "min", "mins", "minute", "minutes"),
    "h": ("h", "hr", "hrs", "hour", "hours"),
    "d": ("d", "day", "days"),
}
_UNITS = {word: unit for unit, spellings in _UNIT_WORDS.items() for word in spellings}
_PIECE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,6})?)\s*([A-Za-z]+)(?:\s+|(?=[0-9])|$)")


def _spelt_out(text: str) -> str:
    """Return `90s` for `1m30s`, `7d` for `7 days`; empty if the text is no duration at all."""
    pieces, at = [], 0
    while at < len(text):
        found = _PIECE.match(text, at)
        unit = _UNITS.get(found[2].lower()) if found else None
        if found is None or unit is None:
            return ""
        pieces.append((found[1], unit))
        at = found.end()
    if len(pieces) == 1:
        return "".join(pieces[0])
    return duration_text(sum(float(number) * _SECONDS[unit] for number, unit in pieces)) if pieces else ""


_SCIENTIFIC = re.compile(r"[0-9]{1,20}(?:\.[0-9]{1,20})?[eE][+-]?[0-9]{1,2}")


def _digits(text: str) -> str:
    """Return a number in scientific notation in plain digits, `0.000001` for `1e-6`; any other text as it is."""
    return f"{Decimal(text):f}" if _SCIENTIFIC.fullmatch(text) else text


def duration_text(seconds: float) -> str:
    """Return the text that `duration` reads as this value, to the millisecond: `250ms` for 0.25, `30d` for 2592000."""
    unit = next((unit for unit in ("d", "h", "m") if seconds > _SECONDS[unit] and seconds % _SECONDS[unit] == 0), "s")
    if 0 < seconds < 1:
        unit = "ms"
    number = f"{seconds / _SECONDS[unit]:.3f}".rstrip("0").rstrip(".")
    return f"{number}{unit}"


def size(text: str) -> int:
    """Return the bytes of `64KiB`, `1MiB`, `500B`, `1MB` (10^6) or a bare number of bytes."""
    found = _SIZE.fullmatch(text := _digits(text))
    if found is None or len(text) > 20:
        short = re.fullmatch(r"([0-9]+)\s*([kKmMgG])[iI]?[bB]?", text)
        if short:
            raise ValueError(f"write {short[1]}{short[2].upper()}iB")
        raise ValueError("write a size such as 64KiB, 1MiB or a number of bytes")
    value = int(found[1]) * _BYTES[found[2] or "B"]
    if value > _LARGEST:
        raise ValueError("it must be at most 1 PiB; for no limit write none, where the key allows it")
    return value


def size_text(size: int) -> str:
    """Return `64KiB` for 65536."""
    unit = next((unit for unit in ("GiB", "MiB", "KiB") if size and size % _BYTES[unit] == 0), "B")
    return f"{size // _BYTES[unit]}{unit}"


def percent(text: str) -> float:
    """Return 0.0 to 100.0 for `25`, `25%` or `0.01%`, with two decimals at most, since a bucket is 0.01 %."""
    found = _PERCENT.fullmatch(text := _digits(text))
    if found is None or len(text) > 30:
        raise ValueError("write a percent such as 25, 25% or 0.5%")
    value = Decimal(found[1])
    if not 0 <= value <= 100:
        raise ValueError("it must be 0 to 100")
    if value != round(value, 2):
        raise ValueError("it may have two decimals at most; 0.01 is the smallest step")
    return float(value)


def share(text: str) -> float:
    """Return 0.0 to 1.0 for a percent. Below 1 the `%` is required: `0.5` could be half a percent or a half."""
    text = _digits(text)
    number = Decimal(text) if _DECIMAL.fullmatch(text) and len(text) <= 30 else Decimal(0)
    if 0 < number < 1:
        literally = f" or {float(number):g}%" if number == round(number, 2) else ""
        raise ValueError(f"a number below 1 can be read in two ways; write {float(number) * 100:g}%{literally}")
    return round(percent(text) / 100, 4)


def share_text(share: float) -> str:
    """Return `99.9%` for 0.999."""
    return f"{share * 100:g}%"


def tolerance(text: str) -> str:
    """Return an absolute difference that is allowed as decimal text: it is compared exactly, so it is never a float."""
    if _NUMBER.fullmatch(text) is None or len(text) > 40:
        raise ValueError("write a number such as 0.01")
    return str(Decimal(text))


def relative_tolerance(text: str) -> str:
    """Return a share as decimal text: `1%`, `0.01` and `1e-2` are all 0.01."""
    number = text.removesuffix("%").rstrip()
    value = Decimal(number) if _NUMBER.fullmatch(number) and len(text) <= 40 else None
    if value is not None and text.endswith("%"):
        value /= 100
    if value is None or abs(value.adjusted()) > _MAX_POWER:
        raise ValueError("write a share such as 0.01 or 1%")
    return str(value)


AUTO: Final = "auto"
MAX_WORKERS = 256


def workers(text: str) -> int | Literal["auto"]:
    """Return a number of processes, or `auto`."""
    if text.lower() == AUTO:
        return AUTO
    try:
        return integer(1, MAX_WORKERS)(text)
    except ValueError as error:
        raise ValueError(f"{error}, or auto") from None
