"""Encode, classify, draw or invert archives of clips, in one process or on Ray Data."""

from audiate.bulk.bulk_run import BulkReport as BulkReport
from audiate.bulk.bulk_run import run_bulk as run_bulk
from audiate.bulk.bulk_run import status as status
from audiate.bulk.jobs import ClassifyJob as ClassifyJob
from audiate.bulk.jobs import DrawJob as DrawJob
from audiate.bulk.jobs import EncodeJob as EncodeJob
from audiate.bulk.jobs import InvertJob as InvertJob
from audiate.bulk.jobs import Job as Job
