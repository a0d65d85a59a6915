"""Rollouts in control: where they stand, what moves them, and what people see of them and may do."""
