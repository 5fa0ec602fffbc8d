"""One large file into a bucket: by this project's `Bucket.put`, or by boto3's `upload_file`."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks.programs.clock import framework_import


def with_landing(file: Path) -> None:
    with framework_import():
        from landing.catalog.settings import bucket_settings
        from landing.catalog.workspace import Workspace
        from landing.zone.bucket import Bucket
    Bucket(bucket_settings(Workspace(file.parent))).put("landing.bin", file)


def with_boto3(file: Path) -> None:
    with framework_import():
        import boto3
    url = urlsplit(os.environ["DLT_BUCKET_URL"])
    client = boto3.client(
        "s3",
        endpoint_url=f"http://{os.environ['S3_ENDPOINT']}",
        aws_access_key_id=os.environ["S3_ACCESS_KEY_ID"],
        aws_secret_access_key=os.environ["S3_SECRET_ACCESS_KEY"],
        region_name="us-east-1",
    )
    client.upload_file(str(file), url.netloc, f"{url.path.strip('/')}/boto3.bin")


if __name__ == "__main__":
    {"landing": with_landing, "boto3": with_boto3}[sys.argv[1]](Path(sys.argv[2]))
