"""`strangler demo`: a shop, its candidate and the proxy as real processes, with visitors, on one screen."""
