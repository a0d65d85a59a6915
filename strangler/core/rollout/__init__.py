"""Rollouts: percents that climb by evidence, wait where there is none, and come down gently."""
