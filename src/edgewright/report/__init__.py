"""A run as one HTML page, as tables for the terminal, as CSV and as a timeline for Perfetto."""

from edgewright.report.model import DataSummary, ModelSummary, ReleaseSummary, RunReport, TargetReport

__all__ = ["DataSummary", "ModelSummary", "ReleaseSummary", "RunReport", "TargetReport"]
