"""Parts of `ON CONFLICT DO UPDATE`: the columns of a row that is there already, and of the one that is added to it."""


def added(table: str, *columns: str) -> str:
    """Return the assignments that add up columns."""
    return ", ".join(f"{column} = {table}.{column} + excluded.{column}" for column in columns)


def least(table: str, column: str) -> str:
    """Return the lesser value of a column."""
    return f"CASE WHEN excluded.{column} < {table}.{column} THEN excluded.{column} ELSE {table}.{column} END"


def greatest(table: str, column: str) -> str:
    """Return the greater value of a column."""
    return f"CASE WHEN excluded.{column} > {table}.{column} THEN excluded.{column} ELSE {table}.{column} END"


def replaced(*columns: str) -> str:
    """Return the assignments that put new values in place of columns."""
    return ", ".join(f"{column} = excluded.{column}" for column in columns)
