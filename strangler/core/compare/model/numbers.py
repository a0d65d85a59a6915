"""JSON numbers by exact decimal value, whatever their size, without ever expanding an exponent."""

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal

_PLAIN_DIGITS = 64
_PLAIN_DECIMALS = 64
_LONGEST_INT = 4000
"""CPython refuses `int(text)` beyond 4300 digits (and is quadratic in them)."""
_SPAN = 20_000
"""Digits carried when two numbers are subtracted: exact for all but absurd pairs such as 1e99999 and 1e-99999."""


def canonical(token: str) -> bytes:
    """The one text that all JSON tokens of the same decimal value share; itself a JSON number.

    `1`, `1.0` and `1e0` are `1`; `-0` is `0`; `1e400` is `1e400` and `10e399` too. Linear in the token's length.
    """
    if len(token) <= _PLAIN_DECIMALS and _is_canonical(token):
        return token.encode()
    sign, token = ("-", token[1:]) if token.startswith("-") else ("", token)
    mantissa, _, exponent = token.replace("E", "e").partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    if not digits:
        return b"0"
    significant = digits.rstrip("0")
    shift = len(digits) - len(significant) - len(fraction)
    return (sign + _written(significant, _plus(exponent or "0", shift))).encode()


def canonical_float(token: str) -> bytes:
    """The canonical number of a token that is no integer (it has a fraction or an exponent), and marked as such.

    `5.0` and `5e0` are `5.0`, `1e80` is `1.0e80`: still JSON numbers of the same value, but never those of an integer,
    which has no point in it.
    """
    number = canonical(token)
    if b"." in number:
        return number
    whole, exponent, power = number.partition(b"e")
    return whole + b".0" + exponent + power


def is_float(number: bytes) -> bool:
    """True for what `canonical_float` made."""
    return b"." in number


def untyped(number: bytes) -> bytes:
    """The canonical number without the mark of `canonical_float`."""
    whole, exponent, power = number.partition(b"e")
    return whole.removesuffix(b".0") + exponent + power


NOT_FINITE = frozenset([b"NaN", b"Infinity", b"-Infinity"])
"""Words that Python's `json` writes beside numbers. They are equal to themselves, and to nothing else."""


def is_finite(number: bytes) -> bool:
    """False for NaN, Infinity and -Infinity."""
    return number not in NOT_FINITE


def is_other_type(legacy: bytes, candidate: bytes, *, is_typed: bool) -> bool:
    """True if two canonical numbers differ by more than their value.

    NaN and Infinity are no numbers to most readers of JSON. `is_typed`: integers and others are two types.
    """
    is_number = is_finite(legacy)
    if is_number is not is_finite(candidate):
        return True
    return is_typed and is_number and is_float(legacy) is not is_float(candidate)


_is_canonical = re.compile(r"(?!-0\Z)-?\d+(?:\.\d*[1-9])?\Z").match
"""Most tokens are; finding that out costs a tenth of taking one apart."""


def _plus(exponent: str, shift: int) -> str:
    if len(exponent) <= _LONGEST_INT:
        return str(int(exponent) + shift)
    exact = Context(prec=min(len(exponent) + 20, MAX_PREC), Emax=MAX_EMAX, Emin=MIN_EMIN)
    return format(exact.add(Decimal(exponent), Decimal(shift)), "f")


def _written(digits: str, exponent: str) -> str:
    """Plain where a person would write it plainly; the choice hangs on the value alone, so it stays canonical."""
    if len(exponent) > 3:
        return f"{digits}e{exponent}"
    places = int(exponent)
    if places >= 0:
        return digits + "0" * places if len(digits) + places <= _PLAIN_DIGITS else f"{digits}e{exponent}"
    if -places > _PLAIN_DECIMALS:
        return f"{digits}e{exponent}"
    padded = digits.rjust(1 - places, "0")
    return f"{padded[:places]}.{padded[places:]}"


def is_within(legacy: bytes, candidate: bytes, abs_: Decimal | None, rel: Decimal | None) -> bool:
    """True if two canonical numbers differ by at most `abs_`, or by at most `rel` times legacy's size; inclusive."""
    left, right = _decimal(legacy), _decimal(candidate)
    if left is None or right is None:
        return legacy == candidate
    span = max(left.adjusted(), right.adjusted()) - min(_lowest(left), _lowest(right)) + 2
    wide = Context(prec=min(max(span, 1) + 50, _SPAN), Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[])
    gap = wide.abs(wide.subtract(left, right))
    if abs_ is not None and gap <= abs_:
        return True
    return rel is not None and gap <= wide.multiply(rel, wide.abs(left))


def _decimal(number: bytes) -> Decimal | None:
    """None for a number whose exponent is beyond what Decimal can hold (10**18)."""
    value = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[]).create_decimal(number.decode())
    return value if value.is_finite() else None


def _lowest(value: Decimal) -> int:
    return value.adjusted() - len(value.as_tuple().digits) + 1


def plain_value(number: bytes) -> int | float | str:
    """A canonical number for a JSON line: as a number if common readers take it exactly, else as its text.

    NaN and Infinity are texts.
    """
    text = number.decode()
    if len(text) <= 20 and text.lstrip("-").isdigit():
        whole = int(text)
        return whole if -(2**63) <= whole < 2**63 else text
    if len(text) <= 30:
        approximate = float(text)
        if abs(approximate) < 1e300 and canonical(repr(approximate)) == untyped(number):
            return approximate
    return text
