"""Events of a migration, as CloudEvents, in the log and the store, and for a webhook and Kafka."""
