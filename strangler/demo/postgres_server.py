"""A PostgreSQL server of the demo's own: in a temporary folder, reached by a socket there, and by nothing else."""

import asyncio
import os
import pwd
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from strangler.demo.children import ChildDiedError, ChildrenState

PLACES: Final = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/usr/local/pgsql/bin")
"""The folders where Debian, Red Hat and PostgreSQL itself put the server's programs, which are not on PATH."""
_PROGRAMS: Final = ("initdb", "postgres", "pg_isready", "createdb")
_USERS: Final = ("postgres", "nobody")
"""The users that it runs as where the demo is root's: PostgreSQL refuses root."""
_END_WITH_PARENT: Final = ("--pdeathsig", "TERM")
"""The signal of `children.py`, which the system forgets where a process changes its user."""
_POLL_S: Final = 0.1
_NAME: Final = "strangler"
_LONGEST_SOCKET: Final = 107
"""The longest path of a socket, in bytes (unix(7))."""


class NoPostgresError(Exception):
    """There is no PostgreSQL that the demo could start. The message has the way out."""


@dataclass(frozen=True, slots=True)
class PostgresServer:
    """The server's programs, its folder, and the command in front of each, by which it is not root's."""

    programs: Path
    folder: Path
    prefix: Sequence[str]

    @property
    def url(self) -> str:
        """The `store` of routes.yaml."""
        return f"postgresql://{_NAME}@/{_NAME}?host={self.folder}"

    async def start(self, children: ChildrenState) -> None:
        """Make its files, start it, and make the database. Raises ChildDiedError."""
        data = str(self.folder / "data")
        await self._run("initdb", "-D", data, "-U", _NAME, "-A", "trust", "-E", "UTF8", "--no-sync")
        reached = ("-k", str(self.folder), "-c", "listen_addresses=", "-c", "unix_socket_permissions=0700")
        command = (*self.prefix, str(self.programs / "postgres"), "-D", data, "-F", *reached)
        await children.launch("postgresql", *command, ready=self._is_ready(), lacking="take connections")
        await self._run("createdb", "-h", str(self.folder), "-U", _NAME, _NAME)

    def remove(self) -> None:
        """Remove its folder, once it has stopped."""
        shutil.rmtree(self.folder, ignore_errors=True)

    async def _is_ready(self) -> None:
        while True:
            code, _ = await self._result("pg_isready", "-h", str(self.folder))
            if not code:
                return
            await asyncio.sleep(_POLL_S)

    async def _run(self, program: str, *arguments: str) -> None:
        code, output = await self._result(program, *arguments)
        if code:
            raise ChildDiedError(f"{program} of PostgreSQL failed:\n{output}")

    async def _result(self, program: str, *arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(*self.prefix, str(self.programs / program), *arguments),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd="/",  # another user may not enter the folder that the demo was started in
        )
        output, _ = await process.communicate()
        assert process.returncode is not None
        return process.returncode, output.decode(errors="replace").strip()


def prepare_postgres(path: str, places: Sequence[str] = PLACES) -> PostgresServer:
    """Find the programs, and make a folder for a server. `path`: as the variable PATH. Raises NoPostgresError."""
    if find_spec("psycopg") is None:
        raise NoPostgresError("--fleet needs psycopg, which speaks to PostgreSQL: pip install 'strangler[postgres]'")
    programs = _programs(path, places)
    if programs is None:
        raise NoPostgresError(
            "--fleet starts a PostgreSQL server of its own, and there is none to start: install it (Debian and Ubuntu:"
            " apt-get install postgresql), or put its programs, such as initdb, on PATH"
        )
    folder = Path(tempfile.mkdtemp(prefix="strangler-demo-pg."))
    if len(os.fsencode(folder / ".s.PGSQL.5432")) > _LONGEST_SOCKET:
        folder.rmdir()
        raise NoPostgresError(f"{folder} is too long a path for a socket: set TMPDIR to a shorter one")
    return PostgresServer(programs, folder, _as_another_user(folder) if os.geteuid() == 0 else ())


def _programs(path: str, places: Sequence[str]) -> Path | None:
    """Return the folder of the newest server's programs; None if there is none."""
    on_path = [Path(folder) for folder in path.split(os.pathsep) if folder]
    found = [folder for place in places for folder in sorted(Path("/").glob(place[1:]), key=_version, reverse=True)]
    folders = [folder for folder in (*on_path, *found) if all((folder / name).exists() for name in _PROGRAMS)]
    return folders[0] if folders else None


def _version(folder: Path) -> tuple[int, ...]:
    name = folder.parent.name.removeprefix("pgsql-")
    return tuple(int(part) for part in name.split(".") if part.isdigit())


def _as_another_user(folder: Path) -> tuple[str, ...]:
    """Give the folder to a user that is not root; return the command that runs another one as that user."""
    for name in _USERS:
        try:
            user = pwd.getpwnam(name)
        except KeyError:
            continue
        os.chown(folder, user.pw_uid, user.pw_gid)
        return ("setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *_END_WITH_PARENT)
    folder.rmdir()
    raise NoPostgresError(f"PostgreSQL does not run as root: run the demo as another user, or add one of {_USERS}")
