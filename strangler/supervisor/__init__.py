"""The parent of all other processes: binds the sockets, starts, restarts what dies, drains, hands over to a successor.

It reads no request, and routes.yaml never, so there is little that could end it. What it has to know of a reload
(the last good settings, for workers that start later) control tells it.
"""

from strangler.supervisor.bootstrap import SupervisorError, run
from strangler.supervisor.places import MAX_DELAY_S, restart_delay_s
from strangler.supervisor.spawner import CONTROL_NICENESS, Commands

__all__ = ["CONTROL_NICENESS", "MAX_DELAY_S", "Commands", "SupervisorError", "restart_delay_s", "run"]
