"""A PostgreSQL server for tests, from the system's package, in a temporary folder and reached by a socket there."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path
from tempfile import mkdtemp
from typing import Final, TypeVar

import psutil
import psycopg

from tests.needs import require

_NOBODY: Final = 65534
USER: Final = "tests"
START_S: Final = 60.0
_NUMBERS: Final = count()

_Server = TypeVar("_Server", bound="PostgresServer")


class PostgresServer:
    """A server in a folder of its own. `url` reaches a database by the socket, `tcp_url` over loopback."""

    def __init__(self, programs: Path, folder: Path, port: int, *, is_durable: bool = False) -> None:
        self.folder = folder
        self.port = port
        self.programs = programs
        self._is_durable = is_durable
        self._process: subprocess.Popen[bytes] | None = None

    def make(self) -> None:
        """Make its files."""
        made = ("-U", USER, "-A", "trust", "-E", "UTF8", "--locale=C", "-N")
        _run(self.programs / "initdb", "-D", self.folder / "data", *made)

    def start(self) -> None:
        """Start it, and wait until it takes connections. What a kill has left in the way is waited for."""
        options = {"listen_addresses": "127.0.0.1" if self.port else "", "fsync": "on" if self._is_durable else "off"}
        command = [str(self.programs / "postgres"), "-D", str(self.folder / "data"), "-k", str(self.folder)]
        command += ["-p", str(self.port or 5432)]
        command += [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            with (self.folder / "log").open("ab") as log:
                self._process = subprocess.Popen([*_user(), *command], cwd="/", stdout=log, stderr=log)
            while self._process.poll() is None:
                with suppress(psycopg.OperationalError):
                    self.connect().close()
                    return
                time.sleep(0.02)
        raise AssertionError((self.folder / "log").read_text())

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        """Stop it: SIGINT lets sessions say farewell, SIGQUIT does not."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait()

    def kill(self) -> None:
        """Kill all of it at once."""
        self.send(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to each of its processes."""
        if self._process is not None and self._process.poll() is None:
            for process in (psutil.Process(self._process.pid), *psutil.Process(self._process.pid).children()):
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def url(self, database: str = "postgres") -> str:
        port = f"&port={self.port}" if self.port else ""
        return f"postgresql://{USER}@/{database}?host={self.folder}{port}"

    def tcp_url(self, database: str = "postgres", user: str = USER, options: str = "") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}{options}"

    def connect(self, database: str = "postgres") -> psycopg.Connection:
        return psycopg.connect(self.url(database), autocommit=True)

    def new_database(self) -> str:
        """Make an empty database, and return its name."""
        name = f"t{next(_NUMBERS)}"
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return name

    @property
    def hba(self) -> Path:
        """The file that says who may connect, and how."""
        return self.folder / "data" / "pg_hba.conf"

    def reload(self) -> None:
        """Have it read its configuration again."""
        _run(self.programs / "pg_ctl", "-D", self.folder / "data", "reload")


def running_server(port: int = 0, *, is_durable: bool = False) -> AbstractContextManager[PostgresServer]:
    """Start a server that nobody else sees. Skips the test where there is none.

    `port`: 0 for no TCP. `is_durable`: what is committed is on the disk.
    """
    return running(lambda programs, folder: PostgresServer(programs, folder, port, is_durable=is_durable))


@contextmanager
def running(build: Callable[[Path, Path], _Server]) -> Iterator[_Server]:
    """Start the server that `build` returns for the system's programs and a new folder."""
    programs = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name), default=None)
    require("" if programs is not None else "PostgreSQL (Debian: postgresql)")
    assert programs is not None
    folder = Path(mkdtemp(prefix="postgres-", dir="/tmp"))  # one that another user may enter
    server = build(programs, folder)
    try:
        if os.geteuid() == 0:
            os.chown(folder, _NOBODY, _NOBODY)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.send(signal.SIGCONT)
            server.stop()
    finally:
        shutil.rmtree(folder)


@contextmanager
def server() -> Iterator[psycopg.Connection]:
    """Start a server that nobody else sees, and connect to it. Skips the test where there is none."""
    with running_server() as running, running.connect() as connection:
        yield connection


def _user() -> list[str]:
    """Return the words before a command of a program that refuses to be root's."""
    return ["setpriv", f"--reuid={_NOBODY}", f"--regid={_NOBODY}", "--clear-groups"] if os.geteuid() == 0 else []


def _run(*command: object) -> None:
    done = subprocess.run([*_user(), *map(str, command)], cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
