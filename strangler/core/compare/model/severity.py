"""The severity of differences: DESIGN section 7, as a table."""

from strangler.core.compare.model.values import Kind, Severity, Where

SEVERITIES: dict[tuple[Where, Kind], Severity] = {
    (Where.STATUS, Kind.VALUE): Severity.RISKY,  # within its class; of another class: breaking
    (Where.HEADER, Kind.MISSING): Severity.RISKY,
    (Where.HEADER, Kind.VALUE): Severity.RISKY,
    (Where.HEADER, Kind.EXTRA): Severity.ADDITIVE,
    (Where.BODY, Kind.MISSING): Severity.BREAKING,
    (Where.BODY, Kind.TYPE): Severity.BREAKING,  # value -> null too; null -> value: risky
    (Where.BODY, Kind.ORDER): Severity.RISKY,
    (Where.BODY, Kind.LENGTH): Severity.RISKY,
    (Where.BODY, Kind.EXTRA): Severity.ADDITIVE,
    (Where.BODY, Kind.VALUE): Severity.VALUE,
}


def status_severity(legacy: int, candidate: int) -> Severity:
    """Return the severity of differing statuses: a client looks at the class first (RFC 9110 section 15)."""
    same_class = legacy // 100 == candidate // 100
    return SEVERITIES[Where.STATUS, Kind.VALUE] if same_class else Severity.BREAKING


def body_severity(kind: Kind, *, legacy_is_null: bool = False) -> Severity:
    """Return the severity of a difference in a body; a value where legacy has null is risky, not breaking."""
    if kind is Kind.TYPE and legacy_is_null:
        return Severity.RISKY
    return SEVERITIES[Where.BODY, kind]
