"""What OpenLineage's events say of a stream: its data sets, columns and source code."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote, urlsplit, urlunsplit

from openlineage.client.event_v2 import InputDataset, OutputDataset
from openlineage.client.facet_v2 import (
    DatasetFacet,
    column_lineage_dataset,
    datasource_dataset,
    output_statistics_output_dataset,
    schema_dataset,
    source_code_location_job,
    storage_dataset,
)
from openlineage.client.git import get_git_branch, get_git_repo_url, get_git_version

from landing.catalog.fields import DELETED_AT, Field, landing_fields
from landing.catalog.settings import BucketSettings
from landing.catalog.store_options import store_options
from landing.catalog.stream_config import StreamConfig
from landing.catalog.workspace import Workspace
from landing.columns.column_types import column_of
from landing.columns.conversion import NEW_FIELDS
from landing.zone.lineage import LINEAGE_FIELDS

_MASKING = {"hash": "a keyed hash (HMAC-SHA256)", "mask": "masked: always the same text"}
_SchemaField = schema_dataset.SchemaDatasetFacetFields


def api_dataset(config: StreamConfig, host: str | None) -> InputDataset:
    """What the stream reads. The specification names no data sets of APIs: the namespace is the
    API's address, or the source if no request was seen, and the name is the stream's."""
    place, name = host or config.source, config.stream
    fields = [
        _SchemaField(name, "|".join(_kinds(field)), field.description)
        for name, field in config.fields.items()
    ]
    facets: dict[str, DatasetFacet] = {
        "schema": schema_dataset.SchemaDatasetFacet(fields=fields),
        "dataSource": datasource_dataset.DatasourceDatasetFacet(name=config.source, uri=host),
    }
    return InputDataset(place, name, facets=facets)


def _kinds(field: Field) -> list[str]:
    return [field.type] if isinstance(field.type, str) else list(field.type)


def landed_dataset(
    config: StreamConfig,
    location: str,
    read: InputDataset | None,
    rows: int,
    *,
    size: int | None = None,
    files: int | None = None,
    storage: str = "",
) -> OutputDataset:
    """Files below `location`, or the table there in the format `storage`."""
    place, name = _names(location)
    facets: dict[str, DatasetFacet] = {
        "schema": schema_dataset.SchemaDatasetFacet(fields=list(_columns(config))),
        "dataSource": datasource_dataset.DatasourceDatasetFacet(place, location),
        "storage": storage_dataset.StorageDatasetFacet(
            storage or urlsplit(location).scheme, "parquet"
        ),
    }
    if read is not None:
        facets["columnLineage"] = _column_lineage(config, read)
    statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
        rowCount=rows, size=size, fileCount=files
    )
    return OutputDataset(
        place,
        name,
        facets=facets,
        outputFacets={"outputStatistics": statistics},
    )


def _names(location: str) -> tuple[str, str]:
    """Namespace and name, as OpenLineage's naming specification has them for each store."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return "file", unquote(parts.path).rstrip("/")
    place = parts.netloc
    if parts.scheme == "az":
        account = store_options(BucketSettings(location, None, is_default=False))["account_name"]
        return f"abfss://{place}@{account}.dfs.core.windows.net", parts.path.strip("/")
    return f"{parts.scheme}://{place}", parts.path.strip("/")


def _columns(config: StreamConfig) -> Iterator[schema_dataset.SchemaDatasetFacetFields]:
    for name, field in landing_fields(config.fields).items():
        kind = "string" if field.privacy is not None else str(column_of(field).type)
        yield _SchemaField(name, kind, field.description)
    if config.on_drift == "land":
        yield _SchemaField(NEW_FIELDS, "string")
    if config.has_deletes:
        yield _SchemaField(DELETED_AT, "timestamp[us, tz=UTC]")
    for lineage in LINEAGE_FIELDS:
        yield _SchemaField(lineage.name, str(lineage.type))


def _column_lineage(
    config: StreamConfig, read: InputDataset
) -> column_lineage_dataset.ColumnLineageDatasetFacet:
    def of(
        name: str, how: column_lineage_dataset.Transformation
    ) -> column_lineage_dataset.InputField:
        return column_lineage_dataset.InputField(read.namespace, read.name, name, [how])

    cursor = config.cursor_field if config.is_incremental else None
    filtered = column_lineage_dataset.Transformation("INDIRECT", "FILTER", "rows after the cursor")
    return column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={
            name: column_lineage_dataset.Fields([of(name, _transformation(field))])
            for name, field in landing_fields(config.fields).items()
        },
        dataset=[] if cursor is None else [of(cursor, filtered)],
    )


def _transformation(field: Field) -> column_lineage_dataset.Transformation:
    how = column_lineage_dataset.Transformation
    if field.privacy is not None:
        return how("DIRECT", "TRANSFORMATION", _MASKING.get(field.privacy), masking=True)
    if field.has_private_parts:
        return how("DIRECT", "TRANSFORMATION", "with parts hashed, masked or dropped", masking=True)
    return how("DIRECT", "IDENTITY", masking=False)


def code_location(
    workspace: Workspace, source: str, url: str | None, version: str | None
) -> source_code_location_job.SourceCodeLocationJobFacet | None:
    """The source's folder in the git repository of the workspace, or in that of the `url`, which a
    pod without one gives the client; None without either."""
    folder = workspace.sources / source
    root = next((one for one in folder.parents if (one / ".git").is_dir()), None)
    git = None if root is None else root / ".git"
    if url is None:
        url = None if git is None else get_git_repo_url(git_dir=git)
    if url is None:
        return None
    shown = _without_password(url)
    return source_code_location_job.SourceCodeLocationJobFacet(
        type="git",
        url=shown,
        repoUrl=shown,
        path=folder.relative_to(root or workspace.repository).as_posix(),
        version=version or (None if git is None else get_git_version(git)),
        branch=None if git is None else get_git_branch(git),
    )


def _without_password(url: str) -> str:
    parts = urlsplit(url)
    if not parts.scheme:  # git@host:path
        return url
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
