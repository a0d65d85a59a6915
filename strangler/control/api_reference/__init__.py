"""The reference of the JSON API: docs/api.md and `/api/openapi.json`, made from the documents and one table."""
