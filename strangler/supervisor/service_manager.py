"""The service manager that has started the proxy: it hears what happens, and watches that the proxy is alive."""

from strangler.supervisor.notify import Notifier


class ServiceManager:
    """Sends each message at its time; nothing where no service manager listens."""

    def __init__(self) -> None:
        self._notifier = Notifier()
        self.feed_due = 0.0 if self._notifier.watchdog_s else float("inf")
        """When its watchdog must hear from us, on the monotonic clock."""

    @property
    def is_heard(self) -> bool:
        """Whether it listens, and so can be told of another main process."""
        return self._notifier.is_heard

    def feed(self, now: float) -> None:
        """Say to its watchdog that we are alive, when it is time."""
        if now >= self.feed_due and self._notifier.watchdog_s:
            self._notifier.send("WATCHDOG=1")
            self.feed_due = now + self._notifier.watchdog_s

    def ready(self) -> None:
        """Say that the proxy serves."""
        self._notifier.send("READY=1")

    def reloading(self) -> None:
        """Say that a restart is under way, which `ready` ends."""
        self._notifier.reloading()

    def stopping(self) -> None:
        """Say that the proxy drains."""
        self._notifier.send("STOPPING=1")

    def hand_over(self, pid: int) -> None:
        """Say that another process is the proxy from now on, which feeds the watchdog, too."""
        self._notifier.send(f"MAINPID={pid}", "READY=1")
        self.feed_due = float("inf")
