"""The client kit: what a source's client and streams may import from this package."""

from landing.http.inflight import in_flight
from landing.http.jsonpage import JsonPage

__all__ = ["JsonPage", "in_flight"]
