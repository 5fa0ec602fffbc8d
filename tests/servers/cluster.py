"""As much of a Kubernetes API server as `kubectl apply --prune` talks to: objects in memory.

It takes what it is sent without looking at it: that a cluster takes the manifests is tested with
Kubernetes' schemas.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

KINDS = {
    "v1": [
        ("configmaps", "ConfigMap"),
        ("secrets", "Secret"),
        ("serviceaccounts", "ServiceAccount"),
    ],
    "batch/v1": [("cronjobs", "CronJob")],
}
_OBJECT = re.compile(r"/apis?/(v1|batch/v1)/namespaces/([^/]+)/([a-z]+)(?:/([^/]+))?")


class Cluster:
    def __init__(self, url: str) -> None:
        self.url = url
        self.objects: dict[tuple[str, str, str], dict[str, Any]] = {}
        """By namespace, plural and name."""

    def names(self, plural: str, namespace: str = "landing") -> list[str]:
        return sorted(key[2] for key in self.objects if key[:2] == (namespace, plural))

    def kubeconfig(self, folder: Path) -> Path:
        file = folder / "kubeconfig"
        entry = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
            "users": [{"name": "test", "user": {}}],
        }
        file.write_text(json.dumps(entry))
        return file

    def answer(self, method: str, target: str, body: bytes) -> tuple[int, Any]:
        parts = urlsplit(target)
        if method == "GET" and (document := _discovery(parts.path)) is not None:
            return 200, document
        match = _OBJECT.fullmatch(unquote(parts.path))
        if match is None:
            return 404, _status(404, "NotFound")
        _, namespace, plural, name = match.groups()
        if name is None and method == "GET":
            return 200, self._listed(match[1], namespace, plural, parse_qs(parts.query))
        sent = json.loads(body) if body else {}
        key = (namespace, plural, name or sent["metadata"]["name"])
        if method == "POST":
            uid = f"uid-{key[2]}"
            self.objects[key] = {**sent, "metadata": {**sent["metadata"], "uid": uid}}
            return 201, self.objects[key]
        if key not in self.objects:
            return 404, _status(404, "NotFound")
        if method == "PATCH":
            self.objects[key] = _merged(self.objects[key], sent)
        found = self.objects.pop(key) if method == "DELETE" else self.objects[key]
        return 200, found

    def _listed(
        self, version: str, namespace: str, plural: str, query: dict[str, list[str]]
    ) -> dict[str, Any]:
        wanted = dict(
            pair.split("=", 1) for pair in query.get("labelSelector", [""])[0].split(",") if pair
        )
        items = [
            found
            for key, found in self.objects.items()
            if key[:2] == (namespace, plural)
            and wanted.items() <= found["metadata"].get("labels", {}).items()
        ]
        kind = dict(KINDS[version])[plural]
        return {"kind": f"{kind}List", "apiVersion": version, "metadata": {}, "items": items}


def _discovery(path: str) -> Any:
    if path == "/version":
        return {"major": "1", "minor": "32", "gitVersion": "v1.32.0"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        version = {"groupVersion": "batch/v1", "version": "v1"}
        group = {"name": "batch", "versions": [version], "preferredVersion": version}
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}
    version_asked = path.removeprefix("/apis/").removeprefix("/api/")
    if version_asked not in KINDS:
        return None
    verbs = ["create", "delete", "get", "list", "patch"]
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": version_asked,
        "resources": [
            {"name": plural, "singularName": "", "namespaced": True, "kind": kind, "verbs": verbs}
            for plural, kind in KINDS[version_asked]
        ],
    }


def _merged(old: Any, patch: Any) -> Any:
    """By RFC 7386; a strategic merge differs in lists, of which a new one replaces the old here."""
    if not isinstance(patch, dict):
        return patch
    found = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            found.pop(key, None)
        elif not key.startswith("$"):
            found[key] = _merged(found.get(key), value)
    return found


def _status(code: int, reason: str) -> dict[str, Any]:
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "status": "Failure",
        "reason": reason,
        "code": code,
    }


@contextmanager
def cluster() -> Iterator[Cluster]:
    class Handler(BaseHTTPRequestHandler):
        def _any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            code, document = found.answer(self.command, self.path, body)
            text = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PATCH = do_DELETE = _any

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found = Cluster(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
