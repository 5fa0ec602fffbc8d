"""Memory that a run has freed is returned to the system, and not kept for each thread."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

_PROGRAM = """
import json, threading
from pathlib import Path
from landing.extraction.tuning import import_faster
import_faster()
import pyarrow as pa
import pyarrow.compute as pc
from landing.zone.allocator import return_freed

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

def many_small_and_a_few_large():
    texts = [b"%1000d" % n for n in range(30_000)]
    array = pa.nulls(1_000_000, pa.int64()).fill_null(1)
    sums = [pc.add(array, n) for n in range(4)]

many_small_and_a_few_large()
return_freed()
before = resident()
threads = [threading.Thread(target=many_small_and_a_few_large) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
return_freed()
kept = resident() - before
print(json.dumps([pa.default_memory_pool().backend_name, kept]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="what is resident is read from /proc")
def test_what_threads_freed_is_returned_to_the_system() -> None:
    done = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, check=True)
    allocator, kept = json.loads(done.stdout)
    assert allocator == "system"
    assert kept < 80_000_000  # 160 MB with the allocators that Arrow and glibc choose
