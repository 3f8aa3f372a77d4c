"""Blobs rebuilt from deltas that were sent: each becomes an incoming file only if it has the digest it is named by."""

from __future__ import annotations

import os
from typing import Any, Dict, Mapping

from edgewright.device import durable
from edgewright.device.delta import DeltaError, apply
from edgewright.device.release import LAYER_LIMIT, Layout

ENDING = ".delta"


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
