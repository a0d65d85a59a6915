"""The errors of the database, whatever its engine is. Their message is that of the engine."""


class DatabaseError(Exception):
    """The database has failed, or refused a statement."""


class CorruptError(DatabaseError):
    """The database is corrupt."""
