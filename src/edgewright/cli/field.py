"""The verbs of the field: what is delivered, served and watched."""

from __future__ import annotations

VERBS = ()
