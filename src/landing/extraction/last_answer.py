"""Finds streams that end because they took an error of the API for the end of its rows."""

from __future__ import annotations

from landing.errors import ApiError, counted
from landing.http.api_messages import shown_request
from landing.http.traffic import TrafficMeter

_MAY_BE_THE_END = (404, 410, 416)
"""Some APIs answer so to a request beyond the last page, or if no record matches."""
_PASSING = (401, 407, 408, 425, 429)


def check_last_answer(meter: TrafficMeter, *, ends_early: bool) -> None:
    """Raises ApiError if a stream has ended normally after a response that was an error: its client
    does not raise for errors, or its function catches them. Warns if that may be intended.

    `ends_early` if the next run goes on where this one ends, since the oldest rows come first.
    """
    answers, status = meter.answers, meter.answers.failed
    if answers.count and answers.has_overlaps:
        return  # pages that are requested ahead may be beyond the end
    if status is not None and status not in _MAY_BE_THE_END:
        text = (
            "ended without an error, although the last response to its requests had status "
            f"{status}, so rows may be missing"
        )
        is_passing = status in _PASSING or status >= 500
        is_end_of_pages = is_passing and answers.was_answered_before and not ends_early
        if not answers.count or is_end_of_pages:
            raise ApiError(
                f"the stream {text}. Nothing more was landed; have the client raise for errors, "
                "with `response.raise_for_status()`, and don't catch them in streams.py"
            )
        meter.warn("failed answer", f"{text}, unless the source means to go on without them")
        return
    # A login is made anew after a 401.
    failed = {r: s for r, s in answers.unanswered.items() if s not in (401, *_MAY_BE_THE_END)}
    if failed:
        (method, url, _), status = next(iter(failed.items()))
        meter.warn(
            "unanswered",
            f"the response to {counted(len(failed), 'request')} was an error, and none of them was "
            "sent again with success, so rows may be missing, unless the source means to go on "
            f"without them; the first is {shown_request(method, url)} with status {status}",
        )
