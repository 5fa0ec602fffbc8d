"""A kustomize base of CronJobs from the schedules of stream configs."""

from landing.kubernetes.folder import differences, write
from landing.kubernetes.jobs import Per, Timetable, timetable
from landing.kubernetes.manifests import rendered

__all__ = ["Per", "Timetable", "differences", "rendered", "timetable", "write"]
