"""Events of a migration: watches that publish them, and their delivery to a webhook and Kafka."""
