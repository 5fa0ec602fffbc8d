"""Google Cloud Storage's XML API, as far as the client of buckets uses it.

No emulator in a registry has it with conditional writes: fake-gcs-server has no XML API
(fsouza/fake-gcs-server#331), gcp-storage-emulator ignores generations. This one compares
`x-goog-if-generation-match` and writes under one lock, as the documentation of request
preconditions describes, and verifies the tokens that a service account signs for itself.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

HOST = "127.0.0.1"
PROJECT, OWNER, READER = "lake-project", "owner@lake-project", "reader@lake-project"
PAGE = 100
"""Names in one answer of a listing; Google's own are of 1,000."""


def new_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem, kind = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(pem, kind, serialization.NoEncryption()).decode()


@dataclass(frozen=True)
class Stored:
    content: bytes
    generation: int
    modified: datetime
    kind: str

    @property
    def headers(self) -> dict[str, str]:
        return {
            "ETag": f'"{hashlib.md5(self.content).hexdigest()}"',
            "Last-Modified": format_datetime(self.modified, usegmt=True),
            "x-goog-generation": str(self.generation),
            "Content-Type": self.kind,
        }


@dataclass
class Gcs:
    url: str
    private_key: str
    bucket: str = "lake"
    objects: dict[str, Stored] = field(default_factory=dict)
    uploads: dict[str, dict[int, bytes]] = field(default_factory=dict)
    conditional: list[str] = field(default_factory=list)
    """The generations that writes were to find; 0 for none."""
    lock: threading.RLock = field(default_factory=threading.RLock)
    _generation: int = 1_700_000_000_000_000

    def env(self) -> dict[str, str]:
        credentials = "DESTINATION__FILESYSTEM__CREDENTIALS__"
        return {
            "STORAGE_EMULATOR_HOST": self.url,
            f"{credentials}PROJECT_ID": PROJECT,
            f"{credentials}CLIENT_EMAIL": OWNER,
            f"{credentials}PRIVATE_KEY": self.private_key.replace("\n", "\\n"),
        }

    def write(self, path: str, content: bytes, kind: str, expected: str | None) -> Stored | None:
        """None if the generation that is there is not the expected one."""
        with self.lock:
            found = self.objects.get(path)
            if expected is not None:
                self.conditional.append(expected)
                if int(expected) != (found.generation if found else 0):
                    return None
            self._generation += 1
            written = Stored(content, self._generation, datetime.now(UTC), kind)
            self.objects[path] = written
            return written


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer is one packet, which no delayed acknowledgment holds up
    disable_nagle_algorithm = True
    server: _Server

    def log_message(self, *_: object) -> None:
        pass

    @property
    def _gcs(self) -> Gcs:
        return self.server.gcs

    def _answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _refuse(self, status: int, code: str) -> None:
        self._answer(
            status, f"<Error><Code>{code}</Code><Message>{code}</Message></Error>".encode()
        )

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        bucket, _, path = unquote(parts.path).lstrip("/").partition("/")
        query = {name: values[0] for name, values in parse_qs(parts.query, True).items()}
        writes = self.command not in ("GET", "HEAD")
        if (caller := self._caller()) is None:
            return self._refuse(401, "AuthenticationRequired")
        if bucket != self._gcs.bucket:
            return self._refuse(404, "NoSuchBucket")
        if writes and caller != OWNER:
            return self._refuse(403, "AccessDenied")
        if not path:
            return self._list(query)
        if not writes:
            return self._read(path)
        if self.command == "DELETE":
            return self._delete(path)
        return self._write(path, query, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _handle

    def _caller(self) -> str | None:
        """The service account that signed the token; None if the signature is another key's."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        signed, _, signature = token.rpartition(".")
        try:
            self.server.public_key.verify(
                _decoded(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256()
            )
        except InvalidSignature:
            return None
        return str(json.loads(_decoded(signed.partition(".")[2]))["iss"])

    def _list(self, query: dict[str, str]) -> None:
        after = max(query.get("start-after", ""), query.get("continuation-token", ""))
        with self._gcs.lock:
            found = sorted(
                (path, stored)
                for path, stored in self._gcs.objects.items()
                if path.startswith(query.get("prefix", "")) and path > after
            )
        entries = "".join(
            f"<Contents><Key>{escape(path)}</Key><Size>{len(stored.content)}</Size>"
            f"<LastModified>{stored.modified:%Y-%m-%dT%H:%M:%S.%fZ}</LastModified>"
            f"<ETag>{escape(stored.headers['ETag'])}</ETag></Contents>"
            for path, stored in found[:PAGE]
        )
        more = found[PAGE:] and (
            f"<NextContinuationToken>{escape(found[PAGE - 1][0])}</NextContinuationToken>"
        )
        self._answer(200, f"<ListBucketResult>{entries}{more or ''}</ListBucketResult>".encode())

    def _read(self, path: str) -> None:
        stored = self._gcs.objects.get(path)
        if stored is None:
            return self._refuse(404, "NoSuchKey")
        content, size = stored.content, len(stored.content)
        if self.command == "HEAD":
            return self._answer(200, **{**stored.headers, "Content-Length": str(size)})
        if span := self.headers.get("Range"):
            first, _, last = span.removeprefix("bytes=").partition("-")
            begin, end = int(first), min(int(last) + 1, size) if last else size
            ranged = {"Content-Range": f"bytes {begin}-{end - 1}/{size}"}
            return self._answer(206, content[begin:end], **stored.headers, **ranged)
        return self._answer(200, content, **stored.headers)

    def _delete(self, path: str) -> None:
        with self._gcs.lock:
            found = self._gcs.objects.pop(path, None)
        return self._refuse(404, "NoSuchKey") if found is None else self._answer(204)

    def _write(self, path: str, query: dict[str, str], body: bytes) -> None:
        kind = self.headers.get("Content-Type", "application/octet-stream")
        uploads = self._gcs.uploads
        if "uploads" in query:
            uploads[path] = {}
            answer = f"<UploadId>{escape(path)}</UploadId>"
            return self._answer(
                200,
                f"<InitiateMultipartUploadResult>{answer}</InitiateMultipartUploadResult>".encode(),
            )
        if "partNumber" in query:
            uploads[path][int(query["partNumber"])] = body
            return self._answer(200, ETag=f'"{hashlib.md5(body).hexdigest()}"')
        is_last = "uploadId" in query
        if is_last:
            pieces = uploads.pop(path)
            body = b"".join(pieces[number] for number in sorted(pieces))
        expected = self.headers.get("x-goog-if-generation-match")
        written = self._gcs.write(path, body, kind, expected)
        if written is None:
            return self._refuse(412, "PreconditionFailed")
        tag = f"<ETag>{escape(written.headers['ETag'])}</ETag>"
        answer = f"<CompleteMultipartUploadResult>{tag}</CompleteMultipartUploadResult>".encode()
        return self._answer(200, answer if is_last else b"", **written.headers)


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    gcs: Gcs
    public_key: rsa.RSAPublicKey


@contextmanager
def serve_gcs() -> Iterator[Gcs]:
    private_key = new_key()
    server = _Server((HOST, 0), _Handler)
    server.gcs = Gcs(f"http://{HOST}:{server.server_port}", private_key)
    loaded = serialization.load_pem_private_key(private_key.encode(), None)
    assert isinstance(loaded, rsa.RSAPrivateKey)
    server.public_key = loaded.public_key()
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield server.gcs
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
