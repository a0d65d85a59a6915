"""A rewritten Location gains nothing that could end its line, whatever the request and the answer say."""

from hypothesis import given
from hypothesis import strategies as st

from strangler.core.routing.rewrite import Rewrite, rewrite_back, rewrite_target
from tests.fuzz.effort import examples

_PATH = st.text("/{}ab.%0adAD;\\:@", max_size=20).map(lambda text: b"/shops/" + text.encode() + b"/orders/7")
_LOCATION = st.text("/{}ab.%0adAD;\\:@?#", max_size=24).map(str.encode) | _PATH.map(lambda path: b"http://up" + path)


@examples(300)
@given(_PATH, _LOCATION)
def test_no_byte_comes_in_that_was_in_neither(path: bytes, location: bytes) -> None:
    rewrite = Rewrite.between("/shops/{shop}/orders", "/orders/of/{shop}")
    back = rewrite_back(location, rewrite, path, b"/base", b"up", b"own")
    assert set(back) <= set(location) | set(path) | set(b"/shops/orders")
    target = rewrite_target(path, rewrite, b"/base")
    assert set(target) <= set(path) | set(b"/orders/of/base")
