"""Files in memory that have no name: only those who inherit the descriptor can read them."""

import os


def unnamed_file(content: bytes) -> int:
    """Return a descriptor of a file that has no name and holds `content`; the caller closes it."""
    descriptor = _open_unnamed()
    write_file(descriptor, content)
    return descriptor


def write_file(descriptor: int, content: bytes) -> None:
    """Append all of `content`."""
    view = memoryview(content)
    while view:
        view = view[os.write(descriptor, view) :]


def _open_unnamed() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("strangler")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
