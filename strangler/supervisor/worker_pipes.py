"""The descriptors that all workers share with the supervisor: lifeline, farewells, and connection counts."""

import os

from strangler.sockets.accept import ConnectionCounts, empty_page
from strangler.unnamed_files import unnamed_file


class WorkerPipes:
    """The owner of both ends of two pipes, and of the page in which workers publish their connection counts."""

    def __init__(self) -> None:
        self.lifeline_fd, life_fd = os.pipe()
        self._life_fd: int | None = life_fd  # never written to; its closing tells the workers that the proxy ends
        self.farewells_fd, self.leaving_fd = os.pipe()
        self.counts_fd = unnamed_file(empty_page())
        self.counts = ConnectionCounts(self.counts_fd)

    def cut_lifeline(self) -> None:
        """Signal to the workers that the whole proxy ends."""
        if self._life_fd is not None:
            os.close(self._life_fd)
            self._life_fd = None

    def read_farewells(self) -> list[str]:
        """Return the instances of the workers that have begun to drain. To be called when the pipe can be read."""
        return os.read(self.farewells_fd, 65536).decode().split()

    def close(self) -> None:
        """Close all descriptors."""
        self.counts.close()
        self.cut_lifeline()
        for descriptor in (self.counts_fd, self.lifeline_fd, self.farewells_fd, self.leaving_fd):
            os.close(descriptor)
