"""Strangler: moves a monolith's endpoints to new services, a percent at a time, every answer compared first."""

__version__ = "0.1.0"
