"""The processes of the proxy, as the supervisor reports them."""

from dataclasses import dataclass, field

from strangler.ipc.messages import ProcessInfo


@dataclass(slots=True)
class ProcessesState:
    """All living processes, and whether the proxy is about to end."""

    processes: list[ProcessInfo] = field(default_factory=list)
    is_draining: bool = False
    has_successor: bool = False
    """Whether a new program is being started beside this one."""

    @property
    def workers(self) -> frozenset[str]:
        """The instances of all workers, draining ones included."""
        return frozenset(info.instance for info in self.processes if info.role in ("worker", "envoy", "leaving"))
