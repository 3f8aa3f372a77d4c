"""Blobs out of what was sent instead of them: deltas, and small files in one archive. Each becomes an incoming file
only if it has the digest it is named by; what does not has to be sent by itself."""

from __future__ import annotations

import hashlib
import os
import zipfile
from typing import Any, Dict, List, Mapping

from edgewright.device import durable
from edgewright.device.delta import DeltaError, apply
from edgewright.device.release import LAYER_LIMIT, Layout

ENDING, ARCHIVE = ".delta", ".zip"
SMALL = 64 << 10
"""Bytes of a file that may come in an archive."""


def patch(layout: Layout, deltas: Mapping[str, Mapping[str, Any]]) -> Dict[str, Any]:
    """`deltas` maps the digest of a blob to {"base": digest of one that is here, "size": bytes of the result}; the
    delta lies in incoming/ under the digest and ".delta". What could not be rebuilt is named with the reason, and
    leaves nothing behind: it has to be sent whole."""
    rebuilt, refused = [], {}
    for digest, how in sorted(deltas.items()):
        layout.blob(digest)
        arrived = os.path.join(layout.incoming, digest)
        making, packed = arrived + ".making", arrived + ENDING
        try:
            size = how["size"]
            if type(size) is not int or not 0 < size <= LAYER_LIMIT:
                raise DeltaError("its size makes no sense")
            if apply(layout.blob(str(how["base"])), packed, making, size) != digest:
                raise DeltaError("another file came out of it")
            os.replace(making, arrived)
            rebuilt.append(digest)
        except (DeltaError, FileNotFoundError) as error:
            refused[digest] = str(error)
        finally:
            durable.remove(making)
            durable.remove(packed)
    durable.sync_folder(layout.incoming)
    return {"rebuilt": rebuilt, "refused": refused}


def unpack(layout: Layout, name: str, sizes: Mapping[str, Any]) -> List[str]:
    """The digests that came out of incoming/NAME.zip, whose members are named by them; `sizes` are their bytes."""
    layout.blob(name)
    path, found = os.path.join(layout.incoming, name + ARCHIVE), []
    try:
        with zipfile.ZipFile(path) as archive:
            for digest, size in sorted(sizes.items()):
                layout.blob(digest)
                if type(size) is int and 0 <= size <= SMALL and _taken(layout, archive, digest, size):
                    found.append(digest)
    except (zipfile.BadZipFile, FileNotFoundError):
        pass  # what is missing is sent by itself
    finally:
        durable.remove(path)
    durable.sync_folder(layout.incoming)
    return found


def _taken(layout: Layout, archive: zipfile.ZipFile, digest: str, size: int) -> bool:
    try:
        with archive.open(digest) as member:
            data = member.read(size + 1)
    except Exception:  # a hostile archive can make zipfile and zlib raise nearly anything
        return False
    if len(data) != size or hashlib.sha256(data).hexdigest() != digest:
        return False
    arrived = os.path.join(layout.incoming, digest)
    with open(arrived + ".making", "wb") as out:
        out.write(data)
        out.flush()
        os.fsync(out.fileno())
    os.replace(arrived + ".making", arrived)
    return True
