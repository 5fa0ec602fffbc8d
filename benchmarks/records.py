"""What every contender reads and what it keeps of it.

The programs and the sources read the kind of records and the size of a page from the environment:
each is a process that is measured with one of them.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Literal

Kind = Literal["integer", "number", "boolean", "text", "date-time", "date", "json"]

STREAM = "bench"
KEY = "id"
CURSOR = "updated_at"
INITIAL_VALUE = "2020-01-01 00:00:00"
RECORDS = 200_000

PAGE_SIZE_VARIABLE = "BENCH_PAGE_SIZE"
PAGE_SIZE = int(os.environ.get(PAGE_SIZE_VARIABLE, "1000"))

GENERATED = "generated"
PULL_REQUESTS = "pull_requests"
ALERTS = "alerts"

FIELDS: Mapping[str, Mapping[str, Kind]] = {
    # 20 of the 25 fields. The widest (description, lines) are among them, so that leaving fields
    # out flatters nobody.
    GENERATED: {
        "id": "integer",
        "uuid": "text",
        "name": "text",
        "status": "text",
        "updated_at": "date-time",
        "created_at": "date-time",
        "due_on": "date",
        "amount": "number",
        "tax": "number",
        "discount": "number",
        "quantity": "integer",
        "is_active": "boolean",
        "currency": "text",
        "city": "text",
        "email": "text",
        "description": "text",
        "note": "text",
        "customer": "json",
        "tags": "json",
        "lines": "json",
    },
    # All that are not null in every recorded object.
    PULL_REQUESTS: {
        "url": "text",
        "id": "integer",
        "node_id": "text",
        "html_url": "text",
        "diff_url": "text",
        "patch_url": "text",
        "issue_url": "text",
        "number": "integer",
        "state": "text",
        "locked": "boolean",
        "title": "text",
        "user": "json",
        "body": "text",
        "created_at": "date-time",
        "updated_at": "date-time",
        "closed_at": "date-time",
        "merge_commit_sha": "text",
        "assignee": "json",
        "assignees": "json",
        "requested_reviewers": "json",
        "requested_teams": "json",
        "labels": "json",
        "milestone": "json",
        "commits_url": "text",
        "review_comments_url": "text",
        "review_comment_url": "text",
        "comments_url": "text",
        "statuses_url": "text",
        "head": "json",
        "base": "json",
        "_links": "json",
        "author_association": "text",
        "active_lock_reason": "text",
        "draft": "boolean",
        "merged": "boolean",
        "mergeable": "boolean",
        "rebaseable": "boolean",
        "mergeable_state": "text",
        "comments": "integer",
        "review_comments": "integer",
        "maintainer_can_modify": "boolean",
        "commits": "integer",
        "additions": "integer",
        "deletions": "integer",
        "changed_files": "integer",
    },
    ALERTS: {
        "id": "integer",
        "number": "integer",
        "created_at": "date-time",
        "updated_at": "date-time",
        "url": "text",
        "html_url": "text",
        "instances": "json",
        "instances_url": "text",
        "most_recent_instance": "json",
        "state": "text",
        "dismissed_by": "json",
        "dismissed_at": "date-time",
        "dismissed_reason": "text",
        "rule": "json",
        "tool": "json",
    },
}
BODY_VARIABLE = "BENCH_BODY"
KEPT = FIELDS[os.environ.get(BODY_VARIABLE, GENERATED)]
