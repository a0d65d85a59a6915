"""A small shop: the monolith of the demo and the tests, and its candidate for orders and products.

`python -m legacy_stub --port 8000` is the shop; `python -m legacy_stub --candidate orders --port 8001` serves only its
orders, `--candidate shop` also its products, with the differences that `legacy_stub.drifts` lists. The monolith knows
nothing of the proxy; the candidate keeps the contract of shadows and dry runs, unless it is `--unaware`.
"""
