"""A device that exists only as a script: what is run is answered from a JSON file, files live in memory."""

from __future__ import annotations

import json
from pathlib import Path

from edgewright.core.contracts import Link
from edgewright.core.errors import ConfigError
from edgewright.transports.fake.link import FakeLink, Script


class Fake:
    """`fake://<path of a script>`. Nothing is run and nothing is written to disk but by `get`."""

    name = "fake"
    schemes = ("fake",)

    async def open(self, address: str, *, root: str = "") -> Link:
        path = Path(address.removeprefix("fake://"))
        try:
            script = Script.from_json(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                f"{path} is not a script of a fake device: {error}.", "See transports/fake/README.md for the format."
            ) from None
        return FakeLink(address, script, root or "/device")


MEMBER = Fake()
