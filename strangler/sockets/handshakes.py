"""Stopping new TCP handshakes at a listening socket.

Not compiled: a compiled function gives a value up after its last use, here while the system still reads it.
"""

import array
import socket
import struct
import sys

_SO_ATTACH_FILTER = 26  # socket(7); Python has no name for it
_SYN, _SYN_ACK = 0x02, 0x12  # flags in byte 13 of a TCP header (RFC 9293 section 3.1)
_STOP_HANDSHAKES = (
    # Classic BPF (linux/filter.h): code, how far to jump if true and if false, operand.
    (0x30, 0, 0, 13),  # load the flags
    (0x54, 0, 0, _SYN_ACK),  # keep SYN and ACK of them
    (0x15, 0, 1, _SYN),  # is it SYN alone?
    (0x06, 0, 0, 0),  # yes: drop the packet
    (0x06, 0, 0, 0xFFFFFFFF),  # no: take all of it
)


def stop_handshakes(listener: socket.socket) -> None:
    """Have the system drop the first packet of every new connection; those that wait, or have begun, are not affected.

    Raises OSError where the system cannot do that.
    """
    if sys.platform != "linux":
        raise OSError("sockets have no filters here")
    code = array.array("B", b"".join(struct.pack("HBBI", *step) for step in _STOP_HANDSHAKES))
    program = struct.pack("HP", len(_STOP_HANDSHAKES), code.buffer_info()[0])
    listener.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, program)
