"""The whole story on real servers: discover, configure, run, and run again as rows arrive.

    python -m demo           what `make demo` does
    python -m demo --keep    leaves the servers up to look around, until Ctrl-C

Datasette serves the flights that left New York City in 2013, SeaweedFS is the bucket. All files
are below .demo/ in the current folder, which each start removes first.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from datetime import date
from pathlib import Path

from demo.counts import count, rows_by_load
from demo.flights import add_flights
from demo.servers import HOST, ServerDidNotStart
from demo.shell import CommandFailed, heading, say, table
from demo.stage import SOURCE, Stage, leave_the_environment, set_up

FOLDER = Path(".demo")
LAST_DAY_AT_FIRST = date(2013, 12, 24)
# Days are in UTC, so the last evening of the year in New York is the first of the next.
LAST_WEEK = (date(2013, 12, 25), date(2014, 1, 1))


def main() -> int:
    options = _parse()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    leave_the_environment()
    clock = time.monotonic()
    try:
        with set_up(FOLDER.resolve(), LAST_DAY_AT_FIRST) as stage:
            introduce(stage)
            is_equal = tell(stage)
            print(f"\n{time.monotonic() - clock:.0f} seconds.")
            if options.keep:
                _wait(stage)
    except KeyboardInterrupt:
        print("\nstopped; the servers have ended")
        return 130
    except (CommandFailed, ServerDidNotStart, FileNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0 if is_equal else 1


def introduce(stage: Stage) -> None:
    heading("Two servers and a workspace")
    table(
        ("what", "where"),
        [
            ("Datasette", f"{stage.web.database('flights')} (the source)"),
            ("SeaweedFS", f"{stage.s3.url} (the bucket; S3 with keys)"),
            ("settings", f"{_shown(stage.settings)} (URLs and keys; read by the commands below)"),
            ("workspace", f"{_shown(stage.scripts)} (a copy of orchestration/dlt)"),
        ],
    )
    print(f"\nAll commands are run in {_shown(stage.scripts)}.")


def tell(stage: Stage) -> bool:
    """The story, from start to end; whether everything landed exactly once."""
    discover(stage)
    configure(stage)
    run(stage)
    run_when_rows_have_arrived(stage)
    run_on_a_fresh_disk(stage)
    add_a_stream(stage)
    return compare(stage)


def discover(stage: Stage) -> None:
    heading("1. What can the source provide?")
    stage.shell.run(f"python discover-source.py {SOURCE}")
    stage.shell.run(f"cat ../dag/sources/{SOURCE}/flights.json")


def configure(stage: Stage) -> None:
    heading("2. What of it do we want?")
    stage.shell.run(f"mkdir -p ../dag/streams/{SOURCE}")
    stage.shell.run(f"cp ../dag/sources/{SOURCE}/flights.json ../dag/streams/{SOURCE}/flights.json")
    print()
    say(
        "Then edit the copy: take out fields that nobody needs, select the stream, and name the "
        "field by which a run knows what is new."
    )
    stage.edit_config(
        "flights",
        drop=("year", "month", "day", "hour", "minute"),
        selected=True,
        sync_mode="incremental",
        cursor_field=["time_hour"],
    )
    stage.shell.run(f"cat ../dag/streams/{SOURCE}/flights.json")
    stage.shell.run(f"python pipeline.py {SOURCE} flights --dry-run")


def run(stage: Stage) -> None:
    heading("3. Run it")
    stage.shell.run(f"python pipeline.py {SOURCE} flights")
    _list_files(stage)
    say("Rows are below the source's name; state and records are below _dlt/.")


def run_when_rows_have_arrived(stage: Stage) -> None:
    first, last = LAST_WEEK
    heading("4. Rows arrive, and only they land")
    added = add_flights(stage.database, first, last)
    say(f"{added:,} flights of {first} to {last} were just added to Datasette's database.")
    stage.shell.run(f"python pipeline.py {SOURCE} flights")
    _list_files(stage, f"{SOURCE}/flights")


def run_on_a_fresh_disk(stage: Stage) -> None:
    heading("5. A fresh disk, and nothing lands twice")
    stage.check_out_anew()
    say(
        "The workspace was just deleted and restored from what is in git: code and JSON. That "
        "makes no difference: each command is a separate process that keeps nothing on the disk "
        "and starts from what is in the bucket."
    )
    stage.shell.run(f"python pipeline.py {SOURCE} flights")


def add_a_stream(stage: Stage) -> None:
    heading("6. A second stream, and --all")
    stage.shell.run(
        f"cp ../dag/sources/{SOURCE}/airports.json ../dag/streams/{SOURCE}/airports.json"
    )
    print()
    say("The config now selects the stream. It has no cursor, so each run lands the whole table.")
    stage.edit_config("airports", selected=True)
    stage.shell.run(f"python pipeline.py {SOURCE} --all")


def compare(stage: Stage) -> bool:
    heading("7. Compare: nothing missing, nothing twice")
    say("The landed parquet, counted with DuckDB, and Datasette's own counts:")
    print()
    counts = [count(stage, "flights", "id"), count(stage, "airports", "faa")]
    table(
        ("stream", "rows in Datasette", "rows landed", "different keys landed", ""),
        [
            (c.stream, c.in_datasette, c.landed, c.landed_keys, "equal" if c.is_equal else "WRONG")
            for c in counts
        ],
    )
    print("\nThe flights by load, from the column _dlt_load_id of each row:\n")
    table(("load", "rows"), rows_by_load(stage, "flights"))
    return all(c.is_equal for c in counts)


def _list_files(stage: Stage, prefix: str = "") -> None:
    print(f"\nFiles in the bucket, below s3://{stage.s3.bucket}/raw/{prefix}:\n")
    table(("path", "bytes"), stage.files(prefix))
    print()


def _wait(stage: Stage) -> None:
    browse = f"http://{HOST}:{stage.s3.ports[1]}/buckets/{stage.s3.bucket}/raw/"
    heading("The servers stay up until Ctrl-C")
    table(
        ("what", "where"),
        [
            ("the source", stage.web.url),
            ("the bucket, to browse", browse),
            ("the bucket, for S3 clients", f"{stage.s3.url} (keys in {_shown(stage.settings)})"),
            ("to run commands", f"source .venv/bin/activate && cd {_shown(stage.scripts)}"),
        ],
    )
    sys.stdout.flush()
    try:
        signal.pause()
    except KeyboardInterrupt:
        print()


def _shown(path: Path) -> Path:
    return path.relative_to(Path.cwd())


def _stop(number: int, _frame: object) -> None:
    """End as Ctrl-C does, so that the servers end too."""
    sys.exit(128 + number)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m demo", allow_abbrev=False, description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--keep", action="store_true", help="leave the servers up until Ctrl-C")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
