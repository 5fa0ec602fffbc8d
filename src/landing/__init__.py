"""Land any API as Hive-partitioned parquet, incrementally, with dlt."""

__version__ = "0.1.0"
