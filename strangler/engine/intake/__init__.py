"""The intake: what Envoy says of each request becomes what a worker says of it."""
