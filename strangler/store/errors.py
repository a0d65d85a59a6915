"""The errors of the database, whatever its engine is. Their message is that of the engine."""


class DatabaseError(Exception):
    """The database has failed, or refused a statement."""


class CorruptError(DatabaseError):
    """The database is corrupt."""


class MissingError(DatabaseError):
    """There is no database yet."""


class RefusedError(DatabaseError):
    """The database is well, but refused the values of a statement, or ended a transaction in favour of another one."""


class AwayError(DatabaseError):
    """The database cannot be reached, or does not respond in time."""


class SchemaError(DatabaseError):
    """The tables are those of a version that this program cannot use; the message says which program can."""
