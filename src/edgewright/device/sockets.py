"""The sockets that services listen on."""

from __future__ import annotations

import contextlib
import socket
from typing import Iterator, Optional

BACKLOG = 128
SHARED = getattr(socket, "SO_REUSEPORT", None)


def listen(host: str, port: int, beside: Optional[socket.socket] = None) -> socket.socket:
    """A listening TCP socket. OSError where the port is taken or the host is none of ours. `beside` is a socket of ours
    that this one will replace. It may have the same port, at an address that includes this one or is included: then
    the new one is only bound, lest it should draw requests before anybody answers them, until `take_over`."""
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind, protocol)
    same = beside is not None and SHARED is not None and beside.getsockname()[1] == port
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with _sharing(found, beside if same else None):
            found.bind(address)
        if not same:
            found.listen(BACKLOG)
    except OSError:
        found.close()
        raise
    return found


def take_over(found: socket.socket, beside: Optional[socket.socket]) -> None:
    """`found` listens, if it does not yet; `beside` is what it was made beside. OSError where it may not."""
    with _sharing(found, None if beside is found else beside):
        found.listen(BACKLOG)


@contextlib.contextmanager
def _sharing(found: socket.socket, beside: Optional[socket.socket]) -> Iterator[None]:
    """Only meanwhile, lest another program of the same user could listen on the port as well."""
    both = [one for one in (found, beside) if one is not None] if beside is not None and SHARED is not None else []
    for one in both:
        one.setsockopt(socket.SOL_SOCKET, SHARED or 0, 1)
    try:
        yield
    finally:
        for one in both:
            one.setsockopt(socket.SOL_SOCKET, SHARED or 0, 0)
