"""JSON numbers by exact decimal value, whatever their size, without expanding exponents."""

import re
from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, Context, Decimal

_PLAIN_DIGITS = 64
_PLAIN_DECIMALS = 64
_LONGEST_INT = 4000
"""CPython refuses `int(text)` beyond 4300 digits, and takes quadratic time."""
_SPAN = 20_000
"""The digits kept in a subtraction: exact for all but absurd pairs such as 1e99999 and 1e-99999."""


def canonical(token: str) -> bytes:
    """Return the one text, a JSON number, that all JSON tokens of the same decimal value share.

    `1`, `1.0` and `1e0` become `1`; `-0` becomes `0`; `10e399` becomes `1e400`. Linear in the token's length.
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
    """Return the canonical number of a token with a fraction or an exponent, marked as no integer.

    `5.0` and `5e0` become `5.0`, `1e80` becomes `1.0e80`: JSON numbers of the same value, but different from the
    canonical form of an integer, which has no point.
    """
    number = canonical(token)
    if b"." in number:
        return number
    whole, exponent, power = number.partition(b"e")
    return whole + b".0" + exponent + power


def is_float(number: bytes) -> bool:
    """Return True for a result of `canonical_float`."""
    return b"." in number


def untyped(number: bytes) -> bytes:
    """Return the canonical number without the mark of `canonical_float`."""
    whole, exponent, power = number.partition(b"e")
    return whole.removesuffix(b".0") + exponent + power


NOT_FINITE = frozenset([b"NaN", b"Infinity", b"-Infinity"])
"""Words that Python's `json` writes for some floats. They equal themselves, and nothing else."""


def is_finite(number: bytes) -> bool:
    """Return False for NaN, Infinity and -Infinity."""
    return number not in NOT_FINITE


def is_other_type(legacy: bytes, candidate: bytes, *, is_typed: bool) -> bool:
    """Return True if two canonical numbers differ by more than their value.

    NaN and Infinity are not numbers to most JSON parsers. `is_typed`: integers and floats are two types.
    """
    is_number = is_finite(legacy)
    if is_number is not is_finite(candidate):
        return True
    return is_typed and is_number and is_float(legacy) is not is_float(candidate)


_is_canonical = re.compile(r"(?!-0\Z)-?\d+(?:\.\d*[1-9])?\Z").match
"""Most tokens are canonical; checking that costs a tenth of taking one apart."""


def _plus(exponent: str, shift: int) -> str:
    if len(exponent) <= _LONGEST_INT:
        return str(int(exponent) + shift)
    exact = Context(prec=min(len(exponent) + 20, MAX_PREC), Emax=MAX_EMAX, Emin=MIN_EMIN)
    return format(exact.add(Decimal(exponent), Decimal(shift)), "f")


def _written(digits: str, exponent: str) -> str:
    """Return a number written plainly if it is short; that depends on the value alone, so it stays canonical."""
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
    """Return True if two canonical numbers differ by at most `abs_`, or by at most `rel` times legacy's magnitude."""
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
    """Return a number as Decimal; None if its exponent is beyond what Decimal can hold (10**18)."""
    value = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN, traps=[]).create_decimal(number.decode())
    return value if value.is_finite() else None


def _lowest(value: Decimal) -> int:
    return value.adjusted() - len(value.as_tuple().digits) + 1


def plain_value(number: bytes) -> int | float | str:
    """Return a canonical number for a JSON line: a number if common parsers read it exactly, else its text.

    NaN and Infinity become texts.
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
