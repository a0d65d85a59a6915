"""The dashboard: pages for operators on the admin listener."""
