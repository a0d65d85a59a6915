"""The process that runs Envoy in place of the workers: it writes Envoy's files, starts, follows and drains it."""
