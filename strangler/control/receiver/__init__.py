"""The receiver: a listener for the requests that other proxies mirror. Both arms are asked, and compared."""
