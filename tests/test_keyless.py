"""A bucket on AWS without keys: the role of a service account, of a pod, or of the node.

AWS's own services are stood in for by a server that hands out temporary keys and says who signed
the request for the bucket. Only tokens for STS go over TLS, as the store insists on it.
"""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Iterator
from datetime import timedelta
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme

from landing.catalog.settings import BucketSettings
from landing.zone.object_store import store_of

KEYS = {"AccessKeyId": "ASIATEMPORARY", "SecretAccessKey": "secret", "Token": "of-the-session"}
UNTIL = {"Expiration": "2099-01-01T00:00:00Z"}
ROLE = "arn:aws:iam::111122223333:role/landing"
ASSUMED = f"""\
<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
<AccessKeyId>{KEYS["AccessKeyId"]}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey>
<SessionToken>{KEYS["Token"]}</SessionToken><Expiration>{UNTIL["Expiration"]}</Expiration>
</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"""
NOTHING = "<ListBucketResult><Name>landing</Name><KeyCount>0</KeyCount></ListBucketResult>"


class Aws(BaseHTTPRequestHandler):
    def answer(self) -> None:
        path = self.path.rstrip("/")
        if path.startswith("/landing?"):
            self.server.signed.append(self.headers)  # type: ignore[attr-defined]
            text = NOTHING
        elif "Action=AssumeRoleWithWebIdentity" in path:
            text = ASSUMED if "WebIdentityToken=of-the-account" in path else ""
        elif path == "/latest/api/token" or path.endswith("/security-credentials"):
            text = "nodes"
        else:
            text = json.dumps({**KEYS, **UNTIL, "Code": "Success"})
        self.send_response(200 if text else 403)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    do_GET = do_POST = do_PUT = answer

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def aws(tmp_path: Path) -> Iterator[dict[str, Any]]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    servers = [ThreadingHTTPServer(("127.0.0.1", 0), Aws) for _ in range(2)]
    servers[1].socket = context.wrap_socket(servers[1].socket, server_side=True)
    signed: list[Message] = []
    for server in servers:
        server.signed = signed  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield {
        "url": f"http://127.0.0.1:{servers[0].server_port}",
        "sts": f"https://localhost:{servers[1].server_port}",
        "authority": str(tmp_path / "ca.pem"),
        "signed": signed,
    }
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("role", ["service account", "pod identity", "instance"])
def test_the_bucket_is_opened_with_the_keys_of_a_role(
    role: str, aws: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tmp_path / "token"
    token.write_text("of-the-account")
    variables = {
        "service account": {
            "AWS_ROLE_ARN": ROLE,
            "AWS_WEB_IDENTITY_TOKEN_FILE": str(token),
            "AWS_ENDPOINT_URL_STS": aws["sts"],
            "SSL_CERT_FILE": aws["authority"],
        },
        "pod identity": {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{aws['url']}/keys",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(token),
        },
        "instance": {"AWS_METADATA_ENDPOINT": aws["url"]},
    }[role]
    for name in ("S3_ENDPOINT", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    here = {"AWS_ENDPOINT_URL": aws["url"], "AWS_ALLOW_HTTP": "true", "AWS_REGION": "eu-central-1"}
    for name, value in {**here, **variables}.items():
        monkeypatch.setenv(name, value)
    store = store_of(BucketSettings("s3://landing/raw", None, False), timedelta(seconds=10))
    assert list(store.list()) == []
    (headers,) = aws["signed"]
    assert f"Credential={KEYS['AccessKeyId']}/" in headers["Authorization"]
    assert headers["X-Amz-Security-Token"] == KEYS["Token"]
