"""The parent of all other processes: binds the sockets, starts children, restarts what dies, drains, hands over.

It reads neither requests nor routes.yaml, so there is little that could end it. After a reload, control sends it the
new settings, for workers that start later.
"""

from strangler.ipc.process import MAX_DELAY_S, restart_delay_s
from strangler.supervisor.bootstrap import SupervisorError, run
from strangler.supervisor.spawner import CONTROL_NICENESS, Commands

__all__ = ["CONTROL_NICENESS", "MAX_DELAY_S", "Commands", "SupervisorError", "restart_delay_s", "run"]
