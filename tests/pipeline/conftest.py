from __future__ import annotations

from boards import bakery, board, old_board  # noqa: F401
from measured import facts, work  # noqa: F401
