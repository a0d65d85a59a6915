"""The clocks of a worker, named once. uvloop's own is rounded to milliseconds, and costs three times as much to read.

`now` is monotonic: it measures. `unix_now` is the wall clock, which may be set: it is for times that people write.
"""

from time import monotonic as now
from time import time as unix_now

__all__ = ["now", "unix_now"]
