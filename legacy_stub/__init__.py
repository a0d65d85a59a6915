"""A small shop: the monolith of the demo and the tests, and its candidate for `/api/orders`.

`python -m legacy_stub --port 8000` is the shop; `python -m legacy_stub --candidate orders --port 8001` serves
its orders only, with the differences that `legacy_stub.drifts` lists. Nothing in here knows of the proxy.
"""
