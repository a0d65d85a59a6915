"""The settings that children are started with: the last good ones, encoded, as control sends them."""

import os

import structlog

from strangler.ipc.messages import Adopt
from strangler.unnamed_files import unnamed_file

log = structlog.get_logger()


class AdoptedSettings:
    """The owner of the files that hold the first and the last good settings."""

    def __init__(self, first_fd: int, generation: int, drain_s: float) -> None:
        """Take over `first_fd`, a descriptor of a file with the settings that the supervisor begins with."""
        self.first_fd = first_fd
        self.fd = os.dup(first_fd)
        self.generation = generation
        self.drain_s = drain_s

    def try_adopt(self, message: Adopt) -> bool:
        """Start children with these settings from now on; return False if they cannot be kept."""
        try:
            descriptor = unnamed_file(message.settings)
        except OSError as error:  # out of memory: workers that start later begin with older settings
            log.error("supervisor.settings_not_kept", generation=message.generation, reason=error.strerror)
            return False
        os.close(self.fd)
        self.fd, self.generation, self.drain_s = descriptor, message.generation, message.drain_s
        return True

    def close(self) -> None:
        """Close both files."""
        os.close(self.fd)
        os.close(self.first_fd)
