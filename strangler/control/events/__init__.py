"""Events: what happened in a migration, as CloudEvents, to the log, the store, a webhook and Kafka."""
