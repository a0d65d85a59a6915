"""Tests of what Gateway API gets."""
