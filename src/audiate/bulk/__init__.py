"""Archives of clips, encoded, classified, drawn or inverted: in one process, or on Ray Data."""

from __future__ import annotations

from audiate.bulk.bulk_run import BulkReport, run_bulk, status
from audiate.bulk.works import ClassifyJob, DrawJob, EncodeJob, InvertJob, Job

__all__ = [
    "BulkReport",
    "ClassifyJob",
    "DrawJob",
    "EncodeJob",
    "InvertJob",
    "Job",
    "run_bulk",
    "status",
]
