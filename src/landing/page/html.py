"""Renders the report as one self-contained HTML document.

Everything that a source, a config or an exception wrote is treated as text: the template escapes
it, the charts' data is JSON in a block that is not executed, and the content security policy
allows only the page's two scripts, by their hashes.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from landing.errors import needs, printable_lines, sized
from landing.page.facts import Report, StreamFacts
from landing.secrets import redacted

if TYPE_CHECKING:
    from jinja2 import Environment

RUNS_SHOWN = 15
"""Runs of a stream that its log shows."""
_SERIES = 5
"""Series of the chart of all rows: sources, or streams if there is one source; the last is the
rest."""
_ORDER = (
    *("unreadable", "died", "interrupted", "failed", "failing", "late", "ahead", "volume"),
    *("quarantine", "running", "never", "ok"),
)
_TONES = {
    **{"ok": "good", "running": "busy", "never": "idle"},
    **dict.fromkeys(("quarantine", "volume", "late", "ahead"), "warn"),
}
_SPANS = (("d", 86_400), ("h", 3_600), ("min", 60))


def check_installed() -> None:
    """Raises SettingsError if jinja2 is not installed."""
    _environment()


def rendered(report: Report) -> str:
    streams = sorted(report.streams, key=lambda one: (_ORDER.index(one.status.status), one.name))
    series = _series(report)
    script, library = _asset("report.js"), _asset("echarts.js")
    template = _environment().get_template("report.html")
    return template.render(
        report=report,
        streams=streams,
        totals=_totals(report),
        tone=lambda status: _TONES.get(status, "bad"),
        series=series,
        figures=_figures(report, streams, series),
        runs_shown=RUNS_SHOWN,
        style=_asset("report.css"),
        script=script,
        library=library,
        policy=_policy([script, library]),
        now=report.generated,
    )


def _environment() -> Environment:
    with needs("a report", "report"):
        import jinja2
        from markupsafe import Markup

    @cache  # the same names and reasons recur
    def safe(text: str) -> str:
        return printable_lines(redacted(text))

    def message(value: Any) -> Any:
        """Redacts all text that is written into the page, except our own markup, and spells out
        characters that would reorder or hide what is around them."""
        return safe(value) if isinstance(value, str) and not isinstance(value, Markup) else value

    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_asset),
        autoescape=True,
        finalize=message,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "span": lambda seconds: Markup(_span(seconds)),
        "size": lambda count: Markup(sized(count)),
        "stamp": lambda moment: Markup(f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}"),
        "number": lambda count: Markup(f"{count:,}"),
        "share": lambda part, whole: Markup.escape(_share(part, whole)),
        "ticked": lambda text: _ticked(safe(text)),
    }
    return made


@cache
def _asset(name: str) -> str:
    return (files("landing.page") / "assets" / name).read_text(encoding="utf-8")


def _policy(scripts: Iterable[str]) -> str:
    """The content security policy. It fetches nothing, not even from the page's own host."""
    hashes = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts)
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'"
    )


def _totals(report: Report) -> dict[str, int]:
    days = [day for one in report.streams for day in one.days]
    return {
        "streams": len(report.streams),
        "problems": sum(1 for one in report.streams if one.status.problems or one.not_read),
        "today": sum(day.rows for one in report.streams for day in one.days[-1:]),
        "rows": sum(day.rows for day in days),
        "bytes": sum(day.bytes for day in days),
        "failed": sum(day.failed for day in days),
        "quarantined": sum(one.status.quarantined for one in report.streams),
    }


def _figures(
    report: Report, streams: Sequence[StreamFacts], series: Sequence[dict[str, Any]]
) -> dict[str, Any]:
    """The charts' data; times are milliseconds since 1970."""
    return {
        "generated": _milliseconds(report.generated),
        "since": _milliseconds(report.since),
        "days": next(([str(day.day) for day in one.days] for one in streams if one.days), []),
        "all": series,
        "streams": [
            {
                "rows": [day.rows for day in one.days],
                "failed": [day.failed for day in one.days],
                "seconds": [
                    [_milliseconds(run.finished), round(run.seconds, 3), run.kind]
                    for run in reversed(one.runs)
                    if run.seconds is not None
                ],
                "lag": [
                    [_milliseconds(run.finished), round(run.lag_seconds)]
                    for run in reversed(one.runs)
                    if run.lag_seconds is not None
                ],
            }
            for one in streams
        ],
    }


def _series(report: Report) -> list[dict[str, Any]]:
    """Rows of each day by source, or by stream if there is only one source; largest first."""
    is_one = len({one.status.source for one in report.streams}) == 1
    rows: dict[str, list[int]] = {}
    for one in report.streams:
        if one.days:
            name = one.status.stream if is_one else one.status.source
            before = rows.get(name, [0] * len(one.days))
            rows[name] = [count + day.rows for count, day in zip(before, one.days, strict=True)]
    ranked = sorted(rows.items(), key=lambda item: (-sum(item[1]), item[0]))
    named = ranked if len(ranked) <= _SERIES else ranked[: _SERIES - 1]
    series = [{"name": name, "rows": counts} for name, counts in named]
    if rest := [counts for _, counts in ranked[len(named) :]]:
        total = [sum(day) for day in zip(*rest, strict=True)]
        series.append({"name": f"{len(rest)} others", "rows": total})
    return series


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _ticked(text: str) -> str:
    """Turns commands in backticks into code and escapes the rest."""
    from markupsafe import Markup, escape

    pieces = [str(escape(piece)) for piece in text.split("`")]
    if len(pieces) % 2 == 0:  # an unpaired backtick
        return Markup("`".join(pieces))
    coded = [f"<code>{one}</code>" if at % 2 else one for at, one in enumerate(pieces)]
    return Markup("".join(coded))


def _span(seconds: float) -> str:
    """`3 h`, `12 min`, `0.4 s`."""
    for unit, size in _SPANS:
        if abs(seconds) >= 2 * size or (unit == "min" and abs(seconds) >= size):
            return f"{seconds / size:,.0f} {unit}"
    return f"{seconds:.0f} s" if abs(seconds) >= 10 else f"{seconds:.1f} s"


def _share(part: int, whole: int) -> str:
    share = 100 * part / whole if whole else 0.0
    if 0 < share < 0.1 or 99.9 < share < 100:
        return "< 0.1 %" if share < 50 else "> 99.9 %"
    return f"{share:.0f} %" if share in (0.0, 100.0) else f"{share:.1f} %"
