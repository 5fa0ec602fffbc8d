"""Converts a cursor's values to keys that compare by meaning, whatever their spelling.

Times become nanoseconds since 1970, and numbers stay numbers. Other text is compared as text;
digits, and dates that begin with the day or month, are rejected, since they sort differently.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, TypeAlias

import pyarrow as pa

from landing.columns.arrow import pc
from landing.columns.fitting import ConversionError
from landing.errors import SourceError

Kind = Literal["time", "number", "text"]
Unit = Literal["s", "ms"]
Values: TypeAlias = pa.Array | pa.ChunkedArray

PER_SECOND: dict[Unit, int] = {"s": 1, "ms": 1_000}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SINCE = datetime(2000, 1, 1, tzinfo=UTC)
_UNTIL = datetime(9999, 1, 1, tzinfo=UTC)
_MOST_ARE = 0.9
_HALF_IS = 0.5
_SAMPLE = 20
# Times outside of 1677 to 2262, which 64 bits can't hold, are as early or late as these.
_SECONDS = 9_223_372_035
_ISO = (
    r"^\s*(?P<day>\d{4}-\d{2}-\d{2})"
    r"(?:[Tt ](?P<minute>\d{2}:\d{2})(?::(?P<second>\d{2})(?:[.,](?P<fraction>\d+))?)?)?"
    r"\s*(?:[Zz]|UTC|GMT|(?P<sign>[+-])(?P<hours>\d{2}):?(?P<minutes>\d{2})?)?\s*$"
)
_HAS_OFFSET = r"(?i)(?:[zZ]|UTC|GMT|:\d\d(?:[.,]\d+)?\s*[+-]\d\d(?::?\d\d)?)\s*$"
_DIGITS = r"^[+-]?\d+(?:[.]\d+)?$"
_PLAIN_DIGITS = r"^\d+$"
_MONTH_OR_DAY = (
    r"(?i)^\s*(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,?\s"
    r"|\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}\b"
    r"|\d{1,2}[ -](?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)"
    r"|(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.? \d{1,2}\b)"
)


class CursorValues:
    """Makes comparable keys of one cursor's values."""

    def __init__(
        self, name: str, type_: pa.DataType, typed: Callable[[Any], pa.Scalar], start: Any = None
    ) -> None:
        self.name = name
        self._type = type_
        self._typed = typed
        texts = [start] if isinstance(start, str) else []
        self._digits = _digits_in(pa.chunked_array([texts], pa.string()))
        """A number that came before, if numbers come as text."""
        self.kind: Kind | None = None
        """None until the first text was seen."""
        if pa.types.is_temporal(type_):
            self.kind = "time"
        elif pa.types.is_integer(type_) or pa.types.is_floating(type_):
            self.kind = "number"

    def keys(self, values: Values) -> Values:
        """A key for each value; null for what does not compare with the others."""
        if pa.types.is_string(values.type):
            return self._of_text(values)
        if pa.types.is_date(values.type):
            return _nanoseconds(pc.multiply(pc.cast(values, pa.int32()).cast(pa.int64()), 86_400))
        if pa.types.is_timestamp(values.type):
            return _of_microseconds(values.cast(pa.timestamp("us", values.type.tz)))
        return values

    def key(self, value: pa.Scalar) -> pa.Scalar:
        if not value.is_valid:
            return pa.scalar(None, self.key_type)
        return self.keys(pa.array([value.as_py()], value.type))[0]

    def key_of(self, raw: Any) -> pa.Scalar:
        """The key of a value in the API's spelling; null if it is not of the column's type."""
        try:
            return self.key(self._typed(raw))
        except ConversionError:
            return pa.scalar(None, self.key_type)

    @property
    def key_type(self) -> pa.DataType:
        if self.kind == "time":
            return pa.int64()
        return self._type if self.kind == "number" else pa.string()

    def of_time(self, moment: datetime, unit: Unit | None) -> pa.Scalar:
        """The key of a time, in the numbers' unit if numbers are times."""
        since = moment - _EPOCH
        if self.kind == "time":
            seconds = since // timedelta(seconds=1)
            seconds = max(-_SECONDS, min(_SECONDS, seconds))
            rest = since % timedelta(seconds=1) // timedelta(microseconds=1)
            return pa.scalar(seconds * 1_000_000_000 + rest * 1_000, pa.int64())
        assert unit is not None, "a number is a time in some unit"
        number = since / timedelta(seconds=1) * PER_SECOND[unit]
        return pa.scalar(number if pa.types.is_floating(self._type) else int(number), self._type)

    def unit_of(self, keys: Values, now: datetime) -> Unit | None:
        """The unit of numbers that are seconds or milliseconds since 1970: nearly all of them are
        after 2000, and at least half of them not in the future. None for others."""
        for unit in PER_SECOND:
            past = self._share(keys, now + timedelta(days=1), unit)
            if past >= _HALF_IS and self._share(keys, _UNTIL, unit) >= _MOST_ARE:
                return unit
        return None

    def may_be_times(self, keys: Values) -> bool:
        """Whether numbers without a unit are too few to rule out that some are future times."""
        if len(keys) - keys.null_count >= _SAMPLE:
            return False
        return any(self._share(keys, _UNTIL, unit) for unit in PER_SECOND)

    def _share(self, keys: Values, until: datetime, unit: Unit) -> float:
        """The share of numbers that, in this unit, are times since 2000."""
        count: int = len(keys) - keys.null_count
        if self.kind != "number" or not count:
            return 0.0
        least, most = self.of_time(_SINCE, unit), self.of_time(until, unit)
        within = pc.and_(pc.greater_equal(keys, least), pc.less_equal(keys, most))
        return float((pc.sum(within).as_py() or 0) / count)

    def _of_text(self, values: Values) -> Values:
        if self.kind is None and values.null_count < len(values):
            self.kind = self._kind_of(values)
        if self.kind == "time":
            return times_of(values)
        if self.kind == "text":
            self._check_order(values)
        return values

    def _kind_of(self, values: Values) -> Kind:
        times = times_of(values)
        present = len(values) - values.null_count
        return "time" if 2 * (len(times) - times.null_count) >= present else "text"

    def _check_order(self, values: Values) -> None:
        """Raises SourceError for text that does not sort by its meaning."""
        dates = values.filter(pc.match_substring_regex(values, _MONTH_OR_DAY))
        if len(dates):
            raise self._out_of_order(
                dates,
                "dates that do not begin with the year",
                "an ISO date or date-time (`2024-05-31T12:00:00Z`)",
            )
        digits = _digits_in(values)
        if len(digits):
            digits = pa.chunked_array([*self._digits.chunks, *_chunks(digits)])
            self._digits = digits[:1]
            lengths = pc.unique(pc.utf8_length(digits))
            plain = pc.all(pc.match_substring_regex(digits, _PLAIN_DIGITS)).as_py()
            if len(lengths) > 1 or not plain:
                first = digits.take(pc.index_in(lengths, pc.utf8_length(digits)))
                raise self._out_of_order(
                    first, "numbers as text", "a number, with the field's type integer or number"
                )

    def _out_of_order(self, values: Values, what: str, instead: str) -> SourceError:
        shown = " and ".join(map(repr, pc.unique(values).to_pylist()[:2]))
        return SourceError(
            f"cursor '{self.name}': {shown} are {what}, which sort differently as text, so rows "
            f"would be left out; have the stream return '{self.name}' as {instead}, for example "
            "with add_map in streams.py",
            remedy="`landing check` then tests the cursor",
        )


def _digits_in(values: Values) -> Values:
    return values.filter(pc.match_substring_regex(values, _DIGITS))


def is_naive(raw: Any) -> bool:
    """Whether a time has no offset, so that UTC is a guess."""
    if isinstance(raw, datetime):
        return raw.tzinfo is None
    if not isinstance(raw, str):
        return False
    return not pc.match_substring_regex(pa.scalar(raw), _HAS_OFFSET).as_py()


def times_of(values: Values) -> Values:
    """ISO times as nanoseconds since 1970, in UTC if they have no offset; null for other text."""
    for type_ in (pa.timestamp("ns", "UTC"), pa.timestamp("ns")):
        try:
            return values.cast(type_).cast(pa.int64())
        except pa.ArrowInvalid:
            continue
    if isinstance(values, pa.ChunkedArray):
        return pa.chunked_array([_of_any_spelling(one) for one in values.chunks], pa.int64())
    return _of_any_spelling(values)


def _of_any_spelling(values: pa.Array) -> pa.Array:
    parts = pc.extract_regex(values, _ISO)
    part = {name: pc.struct_field(parts, name) for name in parts.type.names}
    minute = _or(part["minute"], "00:00")
    second = _or(part["second"], "00")
    text = pc.binary_join_element_wise(part["day"], minute, " ")
    text = pc.binary_join_element_wise(text, second, ":")
    seconds = _whole_seconds(text)
    hours, minutes = (_or(part[name], "0").cast(pa.int64()) for name in ("hours", "minutes"))
    offset = pc.add(pc.multiply(hours, 3_600), pc.multiply(minutes, 60))
    offset = pc.if_else(pc.equal(part["sign"], "-"), pc.negate(offset), offset)
    fraction = pc.utf8_slice_codeunits(pc.utf8_rpad(part["fraction"], 9, "0"), 0, 9)
    return pc.add(_nanoseconds(pc.subtract(seconds, offset)), fraction.cast(pa.int64()))


def _or(texts: pa.Array, other: str) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), other, texts)


def _whole_seconds(texts: pa.Array) -> pa.Array:
    try:
        return texts.cast(pa.timestamp("s")).cast(pa.int64())
    except pa.ArrowInvalid:
        pass  # at least one has no such month, day or hour
    found = [_whole_second(text) for text in texts.to_pylist()]
    return pa.array(found, pa.int64())


def _whole_second(text: str | None) -> int | None:
    try:
        moment = datetime.fromisoformat(text) if text is not None else None
    except ValueError:
        return None
    return None if moment is None else (moment.replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)


def _of_microseconds(times: Values) -> Values:
    micros = times.cast(pa.int64())
    seconds = pc.divide(micros, 1_000_000)
    rest = pc.subtract(micros, pc.multiply(seconds, 1_000_000))
    return pc.add(_nanoseconds(seconds), pc.multiply(rest, 1_000))


def _nanoseconds(seconds: Values) -> Values:
    bounded = pc.max_element_wise(
        pc.min_element_wise(seconds, _SECONDS, skip_nulls=False), -_SECONDS, skip_nulls=False
    )
    return pc.multiply(bounded, 1_000_000_000)


def _chunks(values: Values) -> list[pa.Array]:
    return [values] if isinstance(values, pa.Array) else values.chunks
