"""Certificates from memory into Python's ssl."""

from strangler.tls.chain import count_authorities
from tests.certificates import make_ca


def test_authorities_are_counted_whatever_their_comments_hold() -> None:
    """Bundles of authorities name them in their own language."""
    first, second = make_ca("One"), make_ca("Two")
    assert count_authorities("# Certificación\n".encode() + first.cert + b"# \xff\n" + second.cert) == 2
