"""Places in pages and XML documents, and which of them a rule names."""


def covers_place(rule: str, place: str, kind: str | None = None) -> bool:
    """True if a rule's selector or path covers a place, both as they are written."""
    return rule == place
