"""What is measured beside what: who takes part, which records they read, and where they go."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks.contenders import (
    AIRBYTE_MANIFEST,
    AIRBYTE_PYTHON,
    DICTIONARY,
    DLT_ON_S3,
    DOWNLOAD,
    FLOOR,
    INGESTR,
    KIT,
    PLAIN_DLT,
    SINGER,
    SLING,
    Contender,
)
from benchmarks.records import ALERTS, GENERATED, PAGE_SIZE, PULL_REQUESTS

SMALL_PAGE = 100
"""As many records as GitHub gives at most."""
FEW_ROUNDS = 3


@dataclass(frozen=True)
class Contest:
    name: str
    """As `--only` takes it."""
    title: str
    contenders: Sequence[Contender]
    records: int
    rounds: int
    page_size: int = PAGE_SIZE
    body: str = GENERATED
    is_pretty: bool = False
    is_in_bucket: bool = False


def contests(records: int, rounds: int) -> list[Contest]:
    """All of them; those with slow contenders have fewer records and rounds, and vary little."""
    few = min(rounds, FEW_ROUNDS)
    bucket = (
        FLOOR,
        DLT_ON_S3,
        INGESTR,
        SLING,
        SINGER,
        AIRBYTE_MANIFEST,
        AIRBYTE_PYTHON,
        DICTIONARY,
        KIT,
    )
    folder = (DOWNLOAD, FLOOR, PLAIN_DLT, DICTIONARY, KIT)
    return [
        Contest("folder", "Rows in a folder", folder, records, rounds),
        Contest(
            "bucket",
            "Rows readable in a bucket",
            bucket,
            max(PAGE_SIZE, records // 5),
            few,
            is_in_bucket=True,
        ),
        *(
            Contest(
                f"{name}-{'pretty' if is_pretty else 'compact'}",
                f"{title}, {'pretty-printed' if is_pretty else 'compact'}",
                (FLOOR, PLAIN_DLT, DICTIONARY, KIT),
                max(SMALL_PAGE, records // share),
                few,
                SMALL_PAGE,
                body,
                is_pretty,
            )
            for name, title, body, share in (
                ("pulls", "Pull requests", PULL_REQUESTS, 125),
                ("alerts", "Alerts", ALERTS, 20),
            )
            for is_pretty in (False, True)
        ),
    ]


def quick(records: int) -> list[Contest]:
    """What proves that it works, in little time."""
    folder, bucket, *recorded = contests(records, 1)
    few = (FLOOR, KIT)
    return [
        folder,
        replace(bucket, contenders=few),
        replace(recorded[-1], contenders=few),
    ]
