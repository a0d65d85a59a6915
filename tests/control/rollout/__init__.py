"""Tests of rollouts in control."""
