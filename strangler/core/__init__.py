"""Pure values and decisions: no I/O, no clock, no chance, no asyncio, no logging. `now` and `draw` are arguments."""
