"""An Apache Kafka broker on loopback: one node that is broker and controller (KRaft), killed and started at will."""

import base64
import shutil
import socket
import subprocess
import time
import uuid
from pathlib import Path

from strangler.demo.children import free_ports
from tests.needs import require

JARS = Path(__file__).parent / "target" / "jars"
FETCH = "mvn -q -f tests/kafka/pom.xml dependency:copy-dependencies"
START_S = 40.0

_JAVA = ("java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", str(JARS / "*"))
_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
num.partitions=3
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
broker.heartbeat.interval.ms=200
broker.session.timeout.ms=1000
group.initial.rebalance.delay.ms=0
"""


def require_jars() -> None:
    java = "" if shutil.which("java") else "java (Debian: default-jre-headless) "
    require(java + ("" if any(JARS.glob("*.jar")) else f"a Kafka broker: {FETCH}"))


class Broker:
    """One broker in a folder of its own. What it has confirmed survives `kill`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._config = folder / "server.properties"
        self._process: subprocess.Popen[bytes] | None = None
        self.port, controller = free_ports(2)
        self._config.write_text(_PROPERTIES.format(port=self.port, controller=controller, folder=folder))
        identifier = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        self._java("kafka.tools.StorageTool", "format", "-t", identifier, "-c", str(self._config)).wait(START_S)

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        self._process = process = self._java("kafka.Kafka", str(self._config))
        until = time.monotonic() + START_S
        while time.monotonic() < until and process.poll() is None:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError(f"the broker did not start:\n{(self._folder / 'log').read_text()[-4000:]}")

    def kill(self) -> None:
        """End it as a crash does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _java(self, *arguments: str) -> "subprocess.Popen[bytes]":
        with (self._folder / "log").open("ab") as log:
            return subprocess.Popen([*_JAVA, *arguments], cwd=self._folder, stdout=log, stderr=log)
