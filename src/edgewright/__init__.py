"""Edgewright: from a trained network to a monitored service on an edge device."""

__version__ = "0.1.0"
