"""Decides whether a failed step is retried or fails for good, and with which message."""

from __future__ import annotations

import signal
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import dagster as dg

from landing.errors import LandingError, LeaseHeld, UsageError, printable_lines
from landing.secrets import redacted

WHILE_HELD = dg.RetryPolicy(
    max_retries=5, delay=60, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS
)
"""Policy while another run of the stream has the lease: waits half an hour in all."""


class Context(Protocol):
    @property
    def log(self) -> dg.DagsterLogManager: ...
    @property
    def retry_number(self) -> int: ...
    @property
    def run(self) -> dg.DagsterRun: ...


def is_final(error: Exception, retries: dg.RetryPolicy, attempt: int) -> bool:
    policy = _policy(error, retries)
    return policy is None or attempt >= policy.max_retries


def _policy(error: Exception, retries: dg.RetryPolicy) -> dg.RetryPolicy | None:
    if isinstance(error, LeaseHeld):
        return WHILE_HELD
    return retries if not isinstance(error, UsageError) else None


@contextmanager
def message(context: Context, retries: dg.RetryPolicy) -> Iterator[None]:
    """Turns errors raised within into Dagster's failures and retry requests.

    The op itself has no retry policy, because Dagster would then also retry runs that a person has
    terminated.
    """
    try:
        with _interruptible():
            yield
    except (dg.Failure, dg.RetryRequested):
        raise
    except LandingError as error:
        outcome = _outcome(context, error, retries)
        raise outcome from outcome.__cause__
    except Exception as error:  # a bug: the traceback is needed, but not the secrets in it
        trace = "".join(traceback.format_exception(error))
        raise dg.Failure(printable_lines(redacted(trace)), allow_retries=False) from None


def _outcome(context: Context, error: LandingError, retries: dg.RetryPolicy) -> Exception:
    failure = dg.Failure(printable_lines(redacted(str(error))), allow_retries=False)
    policy = _policy(error, retries)
    attempt = context.retry_number + 1
    if policy is None or attempt > policy.max_retries:
        return failure
    wait = policy.calculate_delay(attempt)
    context.log.warning(
        f"{failure.description}\nRetry in {wait:.0f} s ({attempt} of {policy.max_retries})"
    )
    request = dg.RetryRequested(max_retries=policy.max_retries, seconds_to_wait=wait)
    request.__cause__ = failure
    return request


@contextmanager
def _interruptible() -> Iterator[None]:
    """Makes a terminated run end as at Ctrl-C, which releases its lease.

    Dagster would otherwise raise its own exception, which the engine does not know.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in before:
            signal.signal(number, _interrupt)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt
