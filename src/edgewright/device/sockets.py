"""Listening sockets."""

from __future__ import annotations

import socket
from typing import Optional

SHARED = getattr(socket, "SO_REUSEPORT", None)


def listen(host: str, port: int, beside: Optional[socket.socket] = None) -> socket.socket:
    """A listening TCP socket. OSError where the port is taken or the host is none of ours. `beside` is a socket of ours
    that this one will replace: it may listen on the same port, at another address that includes this one or is
    included, and until it is closed both do."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind, protocol)
    replaced = beside if beside is not None and SHARED is not None and beside.getsockname()[1] == port else None
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _share(found, replaced, 1)
        found.bind(address)
        found.listen(128)
    except OSError:
        found.close()
        raise
    finally:
        _share(found, replaced, 0)
    return found


def _share(found: socket.socket, replaced: Optional[socket.socket], whether: int) -> None:
    """While both are bound only, lest a stranger of the same user may listen on the port as well."""
    for one in (found, replaced) if replaced is not None else ():
        if SHARED is not None and one is not None and one.fileno() >= 0:
            one.setsockopt(socket.SOL_SOCKET, SHARED, whether)
