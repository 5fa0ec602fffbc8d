"""Renders CronJobs as YAML. The same input gives the same bytes, so that the base can be in git."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import yaml

from landing.catalog.schedule import Schedule
from landing.errors import LeaseHeld, UsageError
from landing.kubernetes.jobs import Job, Timetable

HEADER = "# Made by `landing k8s`: change the stream configs, or an overlay, and run it again.\n"
IMAGE = "dlt-landing:set-in-overlay"
SETTINGS = "landing-settings"
BUCKET_SECRET = "landing-bucket"
SOURCE = "dlt-landing/source"
STREAMS = "dlt-landing/streams"
USER = 10001
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
"""User id of the image, unused on the node."""

STARTS_WITHIN = 600
"""Seconds within which a missed start is caught up, such as after a run that took too long."""
ENDS_WITHIN = 6 * 3600
RETRIES = 2
GRACE = 30
"""Seconds. A run that gets SIGTERM releases its lease within 15 s."""

WORKERS = 8
"""Streams of a source that run side by side; the default of `landing run`."""
# Measured by `python -m benchmarks --only memory-of-streams`; docs/deployment.md has the figures.
BASE_MIB = 192
STREAM_MIB = 96
LIMIT = 2
"""Times the request, for pages of large records and row groups of wide ones."""
ROUNDED_TO = 64


def rendered(
    timetable: Timetable, variables: Mapping[str, bool], service_account: str | None = None
) -> dict[str, str]:
    """Text by file name. `variables` maps each source to whether its client reads any variables.
    Pods run as the namespace's default service account unless `service_account` is given."""
    files = {}
    for job in timetable.jobs:
        pod = _pod(job, needs_secret=variables[job.source])
        if service_account is not None:
            pod = {"serviceAccountName": service_account, **pod}
        files[f"{job.name}.yaml"] = _text(_cron_job(job, pod))
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(files),
    }
    return {**files, "kustomization.yaml": _text(kustomization)}


def parsed(text: str) -> Job | None:
    """The job of a CronJob that `rendered` made; None for any other text."""
    try:
        document = yaml.safe_load(text)
        spec = document["spec"]
        (container,) = spec["jobTemplate"]["spec"]["template"]["spec"]["containers"]
        _, source, *streams = container["args"]
        name, slug = document["metadata"]["name"], document["metadata"]["labels"][SOURCE]
        if not _LABEL.fullmatch(name):  # it becomes the name of a file
            return None
        return Job(name, source, slug, tuple(streams), Schedule(spec["schedule"], spec["timeZone"]))
    except (yaml.YAMLError, LookupError, TypeError, ValueError):
        return None


def source_secret(source_slug: str) -> str:
    return f"landing-source-{source_slug}"


def _text(document: dict[str, Any]) -> str:
    return HEADER + yaml.safe_dump(document, sort_keys=False, width=100, allow_unicode=True)


def _cron_job(job: Job, pod: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": job.name, **_metadata(job)},
        "spec": {
            "schedule": job.schedule.cron,
            "timeZone": job.schedule.timezone,
            "concurrencyPolicy": "Forbid",
            "startingDeadlineSeconds": STARTS_WITHIN,
            "successfulJobsHistoryLimit": 1,
            "failedJobsHistoryLimit": 3,
            "jobTemplate": {
                "metadata": _metadata(job),
                "spec": {
                    "activeDeadlineSeconds": ENDS_WITHIN,
                    "backoffLimit": RETRIES,
                    "podFailurePolicy": _failure_policy(),
                    "template": {"metadata": _metadata(job), "spec": pod},
                },
            },
        },
    }


def _metadata(job: Job) -> dict[str, Any]:
    return {
        "labels": {
            "app.kubernetes.io/name": "dlt-landing",
            "app.kubernetes.io/component": "run",
            "app.kubernetes.io/instance": job.name,
            SOURCE: job.source_slug,
        },
        # Not a label, which may have 63 characters.
        "annotations": {STREAMS: ", ".join(job.streams)},
    }


def _failure_policy() -> dict[str, Any]:
    """A drained node does not count as a failure. A mistake, or another run in progress, is not
    retried."""
    hopeless = [UsageError.exit_code, LeaseHeld.exit_code]
    return {
        "rules": [
            {
                "action": "Ignore",
                "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
            },
            {
                "action": "FailJob",
                "onExitCodes": {"containerName": "landing", "operator": "In", "values": hopeless},
            },
        ]
    }


def _pod(job: Job, *, needs_secret: bool) -> dict[str, Any]:
    return {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": GRACE,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [
            {
                "name": "landing",
                "image": IMAGE,
                "args": ["run", job.source, *job.streams],
                "env": [{"name": "LANDING_LOG_FORMAT", "value": "json"}],
                "envFrom": _environment(job, needs_secret=needs_secret),
                "resources": _resources(len(job.streams)),
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                    "privileged": False,
                    "readOnlyRootFilesystem": True,
                },
                "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
            }
        ],
        "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": "10Gi"}}],
    }


def _environment(job: Job, *, needs_secret: bool) -> list[dict[str, Any]]:
    """Later entries override earlier ones."""
    secret: dict[str, Any] = {"name": source_secret(job.source_slug)}
    if not needs_secret:
        secret["optional"] = True
    return [
        {"configMapRef": {"name": SETTINGS, "optional": True}},
        # Optional, as AWS may know the pod by its service account or its node's role.
        {"secretRef": {"name": BUCKET_SECRET, "optional": True}},
        {"secretRef": secret},
    ]


def requested_mib(streams: int) -> int:
    """MiB of memory for a pod with so many streams, of which WORKERS run at a time."""
    memory = BASE_MIB + STREAM_MIB * min(streams, WORKERS)
    return math.ceil(memory / ROUNDED_TO) * ROUNDED_TO


def _resources(streams: int) -> dict[str, Any]:
    requested = requested_mib(streams)
    return {
        "requests": {"cpu": "250m", "memory": f"{requested}Mi", "ephemeral-storage": "1Gi"},
        "limits": {"cpu": "2", "memory": f"{LIMIT * requested}Mi", "ephemeral-storage": "10Gi"},
    }
