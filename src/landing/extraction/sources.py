"""Sources of a workspace: imports them from their folders and lists their streams."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from landing.catalog.files import read_config
from landing.catalog.installed import installed_module
from landing.catalog.names import check_name, check_source
from landing.catalog.stream_config import HardDelete, StreamConfig
from landing.catalog.workspace import Workspace
from landing.errors import CatalogError, LandingError, SourceError, WorkspaceError, listed, nearest
from landing.extraction.dlt_bridge import (
    DltResource,
    DltSource,
    SourceFactory,
    clone,
    parents_of,
    static_columns,
)
from landing.extraction.dlt_secrets import dlt_secrets
from landing.extraction.failures import explained, missing_variable, place_in_source
from landing.extraction.import_records import DeclaredStart, ImportRecords
from landing.extraction.incremental import check_top_level, declared_incremental
from landing.http import next_links, redirects, whole_bodies
from landing.http.auth import sent_credentials
from landing.http.paging import unread
from landing.secrets import find_by, log_no_secrets, redacted
from landing.zone.shared_objects import share_bucket

PACKAGE = "sources"


@dataclass(frozen=True)
class _Made:
    """By the `@dlt.source` functions of a package."""

    streams: dict[str, DltResource]
    failed: dict[str, LandingError]
    """By the name of the function."""


@dataclass(frozen=True)
class Source:
    """A source package; its streams are the dlt resources that it exports, directly or in a
    `@dlt.source`."""

    name: str
    module: types.ModuleType
    workspace: Workspace

    def streams(self) -> dict[str, DltResource]:
        """All streams by name, but those of functions in `failed`. Calls `@dlt.source` functions,
        which may send requests.

        Raises SourceError if the package exports none, and the error of a function if that is all.
        """
        found = {**self._exported, **self._made.streams}
        if not found:
            self._raise_failed()
            raise SourceError(
                f"{self._shown}: exports no streams; import the resources of streams.py there "
                "and name them in __all__"
            )
        return {stream: _with_own_parents(resource) for stream, resource in found.items()}

    def stream(self, name: str) -> DltResource:
        """One stream. Calls `@dlt.source` functions only if the package does not export it; one
        that fails matters only to streams that no other gives.

        Raises WorkspaceError, which lists the streams, if there is no such stream.
        """
        check_name(name, "stream")
        if name in self._exported:
            return _with_own_parents(self._exported[name])
        streams = self.streams()
        if name not in streams:
            self._raise_failed()
            raise WorkspaceError(
                f"source '{self.name}' has no stream '{name}'{nearest(name, streams)}; "
                f"it has: {listed(streams)}",
                remedy=f"`landing discover {self.name}` finds the streams that the API has",
            )
        return streams[name]

    def check_stream(self, name: str) -> None:
        """Raises what `stream` does, but sends no request. Accepts any name if the package has
        `@dlt.source` functions."""
        if not self._has_factories:
            self.stream(name)

    def check_config(self, config: StreamConfig) -> None:
        """Raises what `config` does, for a stream whose code is known without a request."""
        if not self._has_factories:
            as_declared(config, self.stream(config.stream))

    def config(self, stream: str) -> StreamConfig:
        """A stream's config, completed with what the stream declares.

        Raises CatalogError or SourceError for a mistake in either.
        """
        resource = self.stream(stream)
        return as_declared(read_config(self.workspace, self.name, stream), resource)

    def record_import(self, records: ImportRecords) -> None:
        records.put(self.name, {name: _start(one) for name, one in self._exported.items()})

    def explained(self, stream: str, error: Exception, where: str = "") -> LandingError:
        """An error of one of its streams for a person."""
        return explained(self.workspace, self.name, f"stream '{self.name}/{stream}'{where}", error)

    @property
    def allows_parallel_logins(self) -> bool:
        """Whether the package says that several processes may be logged in to its API at once."""
        return getattr(self.module, "PARALLEL_LOGINS", False) is True

    @property
    def failed(self) -> dict[str, LandingError]:
        """The errors of `@dlt.source` functions that gave no streams, by the function's name. Calls
        the functions."""
        return self._made.failed

    def _raise_failed(self) -> None:
        for error in self.failed.values():
            raise error

    @cached_property
    def _made(self) -> _Made:
        """Cached, since the functions may send requests."""
        made: dict[str, DltResource] = {}
        maker: dict[str, str] = {}
        failed: dict[str, LandingError] = {}
        for name, factory in self._factories():
            try:
                found = self._resources(name, factory)
            except LandingError as error:
                failed[name] = error
                continue
            for stream, resource in found.items():
                if stream in made:
                    raise SourceError(
                        f"{self._shown}: '{maker[stream]}' and '{name}' both define a stream "
                        f"'{stream}'; give one of them another name, or leave one out of __all__"
                    )
                made[stream], maker[stream] = resource, name
        return _Made(made, failed)

    @property
    def _shown(self) -> str:
        return self.workspace.shown(self.workspace.source_dir(self.name) / "__init__.py")

    def _exports(self) -> Iterator[tuple[str, Any]]:
        names = getattr(self.module, "__all__", None)
        if names is None:
            names = [name for name in vars(self.module) if not name.startswith("_")]
        for name in names:
            if not hasattr(self.module, name):
                raise SourceError(f"{self._shown}: __all__ names '{name}', which is not there")
            yield name, getattr(self.module, name)

    @cached_property
    def _exported(self) -> dict[str, DltResource]:
        found: dict[str, DltResource] = {}
        for _, value in self._exports():
            if isinstance(value, DltResource) and found.setdefault(value.name, value) is not value:
                raise SourceError(f"{self._shown}: two resources are named '{value.name}'")
        return found

    @cached_property
    def _has_factories(self) -> bool:
        """Cached, since each of many streams is checked."""
        return any(self._factories())

    def _factories(self) -> Iterator[tuple[str, Any]]:
        for name, value in self._exports():
            if isinstance(value, SourceFactory | DltSource):
                yield name, value

    def _resources(self, name: str, factory: Any) -> dict[str, DltResource]:
        """Raises SettingsError, ApiError or StreamError if the function fails."""
        try:
            with _no_exit(f"source function '{name}'"):
                source = factory if isinstance(factory, DltSource) else factory()
        except Exception as error:
            what = f"source function '{self.name}.{name}'"
            known = explained(self.workspace, self.name, what, error)
            others = ""
            if len(list(self._factories())) > 1 or self._exported:
                others = "the package's other streams run; "
            leave_out = f"leave '{name}' out of __all__ in {self._shown}"
            known.args = (f"{known}; {others}pass it what it needs, or {leave_out}",)
            raise known from error
        return dict(source.resources.items())


def as_declared(config: StreamConfig, resource: DltResource) -> StreamConfig:
    """Add to the config what the stream declares: its cursor, if the config leaves the mode open,
    the types of its columns, and the column by which it marks deleted records.

    Raises SourceError if it marks deleted records but has no primary key, and CatalogError for a
    setting that has no effect, or for another cursor than the stream's.
    """
    config = _by_declared_cursor(config, resource)
    columns = static_columns(resource)
    data_types = {name: c["data_type"] for name, c in columns.items() if "data_type" in c}
    config = replace(config, data_types=data_types)
    hinted = next((c for c in columns.values() if c.get("hard_delete")), None)
    if hinted is None:
        return replace(config, hard_delete=None)
    if not config.primary_key:
        raise SourceError(
            f"stream '{config.source}/{config.stream}' declares hard_delete for "
            f"'{hinted['name']}', but no primary key says which record is deleted; name one in "
            f"its streams.py (primary_key=), or as primary_key in {config.origin}"
        )
    hint = HardDelete(hinted["name"], hinted.get("data_type") == "bool")
    return replace(config, hard_delete=hint)


def _by_declared_cursor(config: StreamConfig, resource: DltResource) -> StreamConfig:
    declared = declared_incremental(resource)
    path = None if declared is None else declared.cursor_path
    if path is not None and config.mode_is_open and path in config.fields:
        config = replace(config, sync_mode="incremental", cursor_field=path)
    elif path is not None and (config.mode_is_open or config.is_incremental):
        check_top_level(resource.name, path)
    if path is not None and config.is_incremental and path != config.cursor_field:
        raise CatalogError(
            f"{config.origin}: cursor_field: the code of the stream asks its API by '{path}', not "
            f"by '{config.cursor_field}'; write [\"{path}\"], or change the code"
        )
    if config.initial_value is not None and not config.is_incremental:
        raise CatalogError(
            f"{config.origin}: initial_value: has no effect in a full refresh; name the "
            "cursor_field that it is a value of, or leave it out"
        )
    return replace(config, mode_is_open=False)


def _start(resource: DltResource) -> DeclaredStart:
    if any(parents_of(resource)):
        return "more"
    incremental = declared_incremental(resource)
    if incremental is None:
        return "nothing"
    if incremental.lag or incremental.end_value is not None:
        return "more"
    return "nothing" if incremental.initial_value is None else "initial_value"


def _with_own_parents(resource: DltResource) -> DltResource:
    """Clone the parents, too: a parent may be a stream that runs at the same time, with its own
    cursor."""
    return clone(resource, with_parents=True) if any(parents_of(resource)) else resource


def load_source(workspace: Workspace, name: str) -> Source:
    """Import `dlt/sources/{name}/`, or else the installed package of this source.

    Raises WorkspaceError if there is neither, SourceError if its Python does not import.
    """
    check_source(workspace, name)
    _use(workspace)
    redirects.guard()
    next_links.guard()
    whole_bodies.guard()
    sent_credentials.guard()
    unread.guard()
    log_no_secrets("dlt", "urllib3")
    share_bucket()
    find_by(dlt_secrets)
    is_own = workspace.has_own(name)
    package = f"{PACKAGE}.{name}" if is_own else installed_module(name)
    is_new = is_own and package not in sys.modules
    records = ImportRecords(workspace)
    is_known = not is_new or records.starts(name) is not None
    try:
        with _no_exit(f"importing source '{name}'"):
            module = importlib.import_module(package)
    except Exception as error:
        message = _import_failed(workspace, name, error)
        raise SourceError(message, remedy=f"fix it; `landing doctor {name}` checks it") from error
    source = Source(name, module, workspace)
    if not is_known:
        with suppress(LandingError):  # what it exports is wrong, which its first use says
            source.record_import(records)
    return source


@contextmanager
def _no_exit(what: str) -> Iterator[None]:
    """Raises SourceError if the code calls sys.exit, which would end a run as if it had landed."""
    try:
        yield
    except SystemExit as stop:
        raise SourceError(f"{what} called sys.exit({stop.code}): raise an error instead") from stop


def _use(workspace: Workspace) -> None:
    """Make `sources` the workspace's package, and unload another workspace's.

    This avoids sys.path, where an installed package named `sources` would come first or be hidden.
    """
    path = [str(workspace.sources)]
    current = sys.modules.get(PACKAGE)
    if current is not None and list(getattr(current, "__path__", ())) == path:
        return
    for name in [n for n in list(sys.modules) if n == PACKAGE or n.startswith(f"{PACKAGE}.")]:
        del sys.modules[name]
    package = types.ModuleType(PACKAGE)
    package.__path__ = path
    sys.modules[PACKAGE] = package


def _import_failed(workspace: Workspace, name: str, error: Exception) -> str:
    if variable := missing_variable(error):
        return (
            f"{variable} is read while source '{name}' is imported; read it inside the client's "
            "__init__, so that streams can be listed without it"
        )
    place = place_in_source(workspace, name, error) or workspace.shown(workspace.source_dir(name))
    if isinstance(error, ImportError) and "dlt.sources.incremental" in str(error):
        return (
            f"{place}: dlt.sources.incremental is a class, not a module; delete that import and "
            "annotate the parameter as dlt.sources.incremental[str]"
        )
    if isinstance(error, SyntaxError):
        return f"{place}: not valid Python: {error.msg}"
    if isinstance(error, ModuleNotFoundError) and not str(error.name).startswith(f"{PACKAGE}."):
        return (
            f"{place}: the module '{error.name}' is not installed: install its package in this "
            "environment and add it to the requirements, or fix the import"
        )
    return redacted(f"{place}: {type(error).__name__}: {error}")
