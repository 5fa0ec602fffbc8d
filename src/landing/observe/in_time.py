"""Work at the end of a run, for which the run waits only so long."""

from __future__ import annotations

import threading
from collections.abc import Callable

from landing.errors import LandingError


def done_in_time(work: Callable[[], None], what: str, seconds: float, otherwise: str = "") -> None:
    """Does the work in a thread. Raises what it raises, and LandingError if it takes longer, which
    then ends with the process."""
    errors: list[Exception] = []

    def caught() -> None:
        try:
            work()
        except Exception as error:
            errors.append(error)

    thread = threading.Thread(target=caught, name="landing-at-end", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise LandingError(f"{what}: gave up after {seconds:.0f} s{otherwise}")
    for error in errors:
        raise error
