"""Space that is kept back on the disk, so that a device which is full can still go back to the release before.

That takes a few small files (journal, links, boots.json, state.json, the lease), each written beside the old one and
renamed: a few blocks and a few inodes at once, and none are left on a full disk. They are given up for it, and taken
back after. The files are random bytes: on a file system that compresses, zeros would keep nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
from typing import Any, Iterator, List

from edgewright.device import durable
from edgewright.device.release import Layout

FILES, EACH_BYTES = 8, 8 << 10
FULL = (errno.ENOSPC, errno.EDQUOT)


def keep(layout: Layout) -> None:
    """Sets aside what is not set aside yet; OSError where the disk is too full for it."""
    for path in _paths(layout):
        if not os.path.isfile(path) or os.path.getsize(path) != EACH_BYTES:
            try:
                with open(path, "wb") as file:
                    file.write(os.urandom(EACH_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
                durable.like(path, layout.run)
            except OSError:
                durable.remove(path)
                raise


def spend(layout: Layout) -> bool:
    """Gives it up; whether there was any."""
    there = [path for path in _paths(layout) if os.path.lexists(path)]
    for path in there:
        durable.remove(path)
    return bool(there)


@contextlib.contextmanager
def spent(layout: Layout) -> Iterator[None]:
    """Meanwhile it may be used; after that it is kept again, as far as there is room."""
    with contextlib.suppress(OSError):
        spend(layout)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            keep(layout)


def write_json(layout: Layout, path: str, value: Any) -> None:
    """durable.write_json, at the cost of the reserve where the disk is full."""
    try:
        durable.write_json(path, value)
    except OSError as error:
        if error.errno not in FULL:
            raise
        with spent(layout):
            durable.write_json(path, value)


def _paths(layout: Layout) -> List[str]:
    return [os.path.join(layout.run, "reserve-%d" % number) for number in range(FILES)]
