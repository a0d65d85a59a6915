"""The control process: the supervisor starts it; it ends on SIGTERM or when the supervisor is gone."""

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
import uvloop
from aiohttp import web

from strangler import logs
from strangler.control.admin import application
from strangler.control.admin_listener import AdminListener, AdminTls
from strangler.control.app import ControlApp, Launch
from strangler.control.app_assembly import build_app
from strangler.control.connection_cap import bounded
from strangler.control.link_server import LinkServer
from strangler.control.links import WorkerLinks
from strangler.control.reload import InForce
from strangler.control.supervisor_end import SupervisorEnd, SupervisorSender
from strangler.core.settings import Settings
from strangler.ipc.messages import AdminCertificates, StandsBy, Started, decode_settings, encode_frame
from strangler.ipc.start import ControlStart, read_file
from strangler.times import utc_now
from strangler.tls.server_context import ignore_undecodable_names

SHUTDOWN_S = 1.0  # for responses of the admin listener that are in flight
LAST_HANDSHAKES_S = 0.2  # for connections to it that have just been accepted

log = structlog.get_logger()


def main() -> None:
    """Run the control process."""
    start = ControlStart.from_environ()
    encoded = read_file(start.settings_fd)
    settings = decode_settings(encoded)
    first = decode_settings(read_file(start.first_settings_fd))
    os.close(start.settings_fd)
    os.close(start.first_settings_fd)
    if not _may_begin(start.supervisor_fd):
        return
    writer = logs.LogWriter()
    logs.configure(settings.log, "control", writer)
    ignore_undecodable_names()
    try:
        uvloop.run(_run(start, first, InForce(settings, encoded, start.generation, utc_now()), writer))
    finally:
        writer.close()


def _may_begin(supervisor_fd: int) -> bool:
    """Wait until this process may write the state folder, which an earlier control may still hold; False if never."""
    with socket.socket(fileno=os.dup(supervisor_fd)) as supervisor:
        supervisor.setblocking(True)
        try:
            supervisor.sendall(encode_frame(StandsBy()))
            return supervisor.recv(1, socket.MSG_PEEK) != b""
        except OSError:  # the supervisor is gone
            return False


class _LogFollower:
    """Applies the log settings of routes.yaml."""

    def __init__(self, writer: logs.LogWriter) -> None:
        self._writer = writer

    def adopt(self, in_force: InForce) -> None:
        logs.configure(in_force.settings.log, "control", self._writer)


async def _run(start: ControlStart, first: Settings, in_force: InForce, writer: logs.LogWriter) -> None:
    launch = Launch(
        folder=Path(start.folder),
        run=start.run,
        listen=start.listen,
        config=Path(start.config),
        environ=os.environ,
        first=first,
        in_force=in_force,
        receives_at=start.receives_at,
        has_mirrors=start.mirror_fd is not None,
        envoy_binary=start.envoy_binary,
    )
    supervisor = SupervisorSender()
    tls = AdminTls(in_force.settings, lambda pem: supervisor.send(AdminCertificates(pem)))
    # The supervisor first: no worker is ahead of those that start later, nor of a control that follows a killed one.
    app = build_app(launch, before=[_LogFollower(writer), supervisor], after=[tls])
    await app.restore()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(app.close)
        app.checks.adopt(in_force)
        ended = await _attach(start.supervisor_fd, app, supervisor)
        await _serve_admin(stack, app, tls, start.admin_fds)
        _serve_receiver(stack, app, start.receiver_fds, start.mirror_fd)
        log.info("control.ready", generation=in_force.generation)
        supervisor.send(Started())
        links = [number for number in (start.link_fd, start.former_link_fd) if number is not None]
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(part.run()) for part in (*app.running, tls)]
            tasks += [
                group.create_task(_accept(app.server, app.workers, socket.socket(fileno=number))) for number in links
            ]
            await ended.wait()
            for task in tasks:
                task.cancel()


async def _attach(descriptor: int, app: ControlApp, supervisor: SupervisorSender) -> asyncio.Event:
    """Connect to the supervisor. Return the event that ends this process: SIGTERM, or the supervisor is gone."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    for number in (signal.SIGINT, signal.SIGHUP):  # meant for the supervisor
        loop.add_signal_handler(number, lambda: None)
    connection = SupervisorEnd(app.reload, app.processes, app.server, ended)
    supervisor.connect(connection)
    await loop.connect_accepted_socket(lambda: connection, socket.socket(fileno=descriptor))
    return ended


async def _serve_admin(stack: AsyncExitStack, app: ControlApp, tls: AdminTls, descriptors: tuple[int, ...]) -> None:
    runner = web.AppRunner(application(app), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    assert runner.server is not None
    await tls.follow()
    listener = AdminListener([socket.socket(fileno=number) for number in descriptors], tls, bounded(runner.server))
    listener.start()
    stack.push_async_callback(listener.close, LAST_HANDSHAKES_S)


def _serve_receiver(
    stack: AsyncExitStack, app: ControlApp, descriptors: tuple[int, ...], mirror_fd: int | None
) -> None:
    receiver = app.receiver
    if receiver is None:
        return

    async def close() -> None:
        await receiver.close(is_last=app.processes.is_draining and not app.processes.has_successor)

    mirrors = None if mirror_fd is None else socket.socket(fileno=mirror_fd)
    receiver.start([socket.socket(fileno=number) for number in descriptors], mirrors)
    stack.push_async_callback(close)


async def _accept(server: LinkServer, links: WorkerLinks, listener: socket.socket) -> None:
    """Accept workers. A server of the loop is not used: some remove the socket's file, which is not ours, on close."""
    loop = asyncio.get_running_loop()
    try:
        while True:
            connection, _ = await loop.sock_accept(listener)
            await loop.connect_accepted_socket(server.accept, connection)
    finally:
        links.abort()
        listener.close()


if __name__ == "__main__":
    main()
