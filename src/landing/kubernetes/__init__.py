"""A kustomize base of CronJobs from the schedules of stream configs."""

from landing.kubernetes.folder import Change, changes, differences, existing_jobs, write
from landing.kubernetes.jobs import Per, Timetable, source_slugs, timetable
from landing.kubernetes.manifests import BUCKET_SECRET, rendered, source_secret

__all__ = [
    "BUCKET_SECRET",
    "Change",
    "Per",
    "Timetable",
    "changes",
    "differences",
    "existing_jobs",
    "rendered",
    "source_secret",
    "source_slugs",
    "timetable",
    "write",
]
