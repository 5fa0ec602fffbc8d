"""Land any API as Hive-partitioned parquet, incrementally, with dlt."""

import os

__version__ = "0.1.0"

# dlt reads these when it is imported, which this package comes before: its telemetry stays off
# unless a person turns it on, and its warnings about what our destination does on purpose mean
# nothing to one.
os.environ.setdefault("RUNTIME__DLTHUB_TELEMETRY", "false")
os.environ.setdefault("RUNTIME__LOG_LEVEL", "CRITICAL")
