"""`landing dbt`: a dbt package that reads the landing zone with DuckDB."""
