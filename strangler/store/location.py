"""The place of a store: what commands open when no proxy runs."""

from dataclasses import dataclass
from pathlib import Path

from strangler.store.server_place import place_of


@dataclass(frozen=True, slots=True)
class StoreLocation:
    """A SQLite file, or the URL of a server that several nodes share: the file is not the store then."""

    file: Path
    url: str | None = None

    @property
    def folder(self) -> Path:
        """The state folder of this node."""
        return self.file.parent

    @property
    def is_empty(self) -> bool:
        """Whether nothing has run with this file yet; a server's content is known only when it is read."""
        return self.url is None and not self.file.exists()

    @property
    def place(self) -> str:
        """Where it is, in words for messages."""
        return str(self.file) if self.url is None else place_of(self.url)
