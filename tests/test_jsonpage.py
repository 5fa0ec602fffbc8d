"""Pages of JSON in threads."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import threading

from landing.columns.json_page import JsonPage, _decoder
from landing.columns.json_text import object_type

sys.setswitchinterval(1e-6)
BODY = b'{"data": [' + b", ".join([b'{"id": 1, "inner5": {"x1": 1}}'] * 50) + b"]}"

for _ in range(40):
    inner = {f"inner{n}": object_type("Inner", {f"x{m}": int for m in range(20)}, None)
             for n in range(6)}
    record = object_type("Record", {"id": int, **inner}, None)
    _decoder.cache_clear()
    together = threading.Barrier(8)
    counts = []

    def decode():
        together.wait()
        counts.append(len(JsonPage(BODY, "data").decoded(record)))

    threads = [threading.Thread(target=decode) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [50] * 8, counts
"""


def test_the_first_pages_of_a_stream_may_be_decoded_in_several_threads_at_once() -> None:
    """msgspec crashes the process if a type is first described while another thread uses it."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, (done.returncode, done.stderr[-2000:])
