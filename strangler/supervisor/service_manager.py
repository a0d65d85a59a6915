"""The service manager that has started the proxy: it is notified of changes, and watches that the proxy is alive."""

from strangler.supervisor.notify import Notifier


class ServiceManager:
    """Sends each message at its time; nothing if no service manager listens."""

    def __init__(self) -> None:
        self._notifier = Notifier()
        self.feed_due = 0.0 if self._notifier.watchdog_s else float("inf")
        """The time of the next message to its watchdog, on the monotonic clock."""

    @property
    def is_heard(self) -> bool:
        """True if it listens, and so accepts another main process."""
        return self._notifier.is_heard

    def feed(self, now: float) -> None:
        """Send its watchdog a sign of life, if it is time."""
        if now >= self.feed_due and self._notifier.watchdog_s:
            self._notifier.send("WATCHDOG=1")
            self.feed_due = now + self._notifier.watchdog_s

    def ready(self) -> None:
        """Report that the proxy serves."""
        self._notifier.send("READY=1")

    def reloading(self) -> None:
        """Report that a restart is under way, which `ready` ends."""
        self._notifier.reloading()

    def stopping(self) -> None:
        """Report that the proxy drains."""
        self._notifier.send("STOPPING=1")

    def hand_over(self, pid: int) -> None:
        """Report that another process is the proxy from now on, and feeds the watchdog."""
        self._notifier.send(f"MAINPID={pid}", "READY=1")
        self.feed_due = float("inf")
