"""Reading what others wrote: access logs, lists of routes and descriptions of APIs, for the ledger."""
