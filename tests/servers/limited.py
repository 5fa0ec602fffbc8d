"""A Flask application with Flask-Limiter: an API that tells in headers what is left of its limit.

Run as a program (`python -m tests.servers.limited PORT LIMIT`), with the limit as `limits` spells
it: "10 per 2 seconds".
"""

from __future__ import annotations

import sys

from flask import Flask, jsonify
from flask_limiter import Limiter
from werkzeug.serving import run_simple

HEADERS = ("X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset")


def application(limit: str) -> Flask:
    app = Flask(__name__)
    limiter = Limiter(
        lambda: "everyone",
        app=app,
        headers_enabled=True,
        strategy="fixed-window",
        storage_uri="memory://",
    )
    served = {"ok": 0, "refused": 0}

    @app.get("/rows")
    @limiter.limit(limit)
    def rows():  # type: ignore[no-untyped-def]
        served["ok"] += 1
        return jsonify([1, 2, 3])

    @app.errorhandler(429)
    def refused(_: Exception):  # type: ignore[no-untyped-def]
        served["refused"] += 1
        return jsonify({}), 429

    @app.get("/served")
    def told():  # type: ignore[no-untyped-def]
        return jsonify(served)

    return app


if __name__ == "__main__":
    run_simple("127.0.0.1", int(sys.argv[1]), application(sys.argv[2]), threaded=True)
