"""A path for the content of a PEM file: OpenSSL reads certificates and keys from paths only."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from strangler.ipc.start import unnamed_file


@contextmanager
def pem_path(content: bytes) -> Iterator[str]:
    """Provide the path of a file in memory that holds `content`, so that no key is written to a disk."""
    descriptor = unnamed_file(content)
    try:
        os.lseek(descriptor, 0, os.SEEK_SET)  # where /dev/fd duplicates a descriptor, its offset is shared
        yield f"/dev/fd/{descriptor}"
    finally:
        os.close(descriptor)
