"""The examples in each verb's `--help`: commands, and what they do."""

from __future__ import annotations

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "backfill": (
        ("odoo orders --from 2020-01-01 --by month --dry-run", "show the windows"),
        ("odoo orders --from 2020-01-01 --by month --workers 4", "four at a time"),
        ("odoo orders --fields discount", "land a field that was added to the config"),
    ),
    "check": (
        ("odoo orders --max-rows 200", ""),
        ("shop --replay", "without the API, as CI does"),
    ),
    "compact": (
        ("shop orders --dry-run", "what would be done"),
        ("shop --all --older-than 30d", "all configured streams"),
    ),
    "completion": (
        ("bash > ~/.local/share/bash-completion/completions/landing", ""),
        ("zsh > ~/.zfunc/_landing", "with ~/.zfunc in fpath, before compinit"),
        ("fish > ~/.config/fish/completions/landing.fish", ""),
    ),
    "dbt": (
        ("", "write the package"),
        ("--check", "write nothing; exit with 1 if it is not up to date"),
    ),
    "discover": (
        ("shop", "all streams"),
        ("odoo orders --sample-limit 50", ""),
        ("shop --check", "write nothing; exit with 1 if something has changed"),
    ),
    "doctor": (
        ("", "this machine, the bucket and all sources"),
        ("shop", "this machine, the bucket and one source"),
    ),
    "env": (
        ("shop", "which variables are required, and which are set"),
        ("shop --dotenv >> .env", "lines to fill in"),
    ),
    "fresh": (
        ("", "all sources"),
        ("shop --grace 90", "late an hour and a half after it was due"),
    ),
    "history": (
        ("shop orders", "the last 20 loads and failed runs"),
        ("shop orders --limit 1 --json", "the last one, for a program"),
    ),
    "init": (
        ("lake", "in a terminal, asks for a first source"),
        ("lake --no-source --dagster --deploy", ""),
        ("--add deploy", "in a workspace: Dockerfile, Kubernetes manifests, CI for the image"),
        ("lake --source shop --openapi https://shop.example.com/openapi.json", ""),
    ),
    "k8s": (
        ("", "write the files"),
        ("--check", "write nothing; exit with 1 if they are not up to date"),
    ),
    "login": (("shop", ""), ("shop --no-browser", "with a browser on another machine")),
    "mcp": (("", "waits for an assistant on standard input"),),
    "new": (
        ("shop", "in a terminal, asks for the rest"),
        ("shop --openapi https://shop.example.com/openapi.json", ""),
        (
            "shop --base-url https://shop.example.com/api --auth bearer --paging offset "
            "--streams orders customers",
            "",
        ),
    ),
    "quarantine": (
        ("list", "which streams, how many, why"),
        ("show shop orders --field id", "the records"),
        ("land shop orders --dry-run", "how many fit now"),
        ("drop shop orders --key 17", "one that is not going to land"),
    ),
    "rebuild": (("shop orders", ""),),
    "report": (
        ("", "all sources, in landing-report.html"),
        ("shop --days 30 --output shop.html", ""),
        ("--to-bucket --no-values", "for readers who may not see any values"),
    ),
    "run": (
        ("shop orders --dry-run", "what would be done"),
        ("odoo orders order_lines", ""),
        ("shop --all", "all selected streams"),
        ("shop --all --json", "the result, for a program"),
        ("shop --all --processes 4", "on four cores, if the source allows several logins"),
    ),
    "schema": (
        ("shop orders", "the current columns"),
        ("shop orders --history", "all versions of them"),
    ),
    "select": (
        ("shop orders", "in a terminal, a checklist"),
        ("shop orders --fields id,total,updated_at", ""),
        ("shop orders --discover --accept", "take over what has changed at the source"),
        ("shop orders --json", "what there is to choose, for a program"),
    ),
    "show": (
        ("shop orders --newest", "the last 20 rows that landed"),
        ("shop orders --where \"total > 100 AND name LIKE 'A%'\" --columns id,total", ""),
    ),
    "state": (
        ("shop orders", "where the next run starts"),
        ('set shop orders --cursor "2026-01-01 00:00:00"', ""),
        ("restore shop orders", "the state before the last change"),
    ),
    "status": (
        ("", "all sources"),
        ("shop --json", "for a program"),
    ),
    "verify": (
        ("shop orders", ""),
        ("--all --quick", "all sources, by the files' footers alone"),
    ),
}


def epilog(verb: str, prog: str, exit_codes: str) -> str:
    commands = [(f"{prog} {words}".rstrip(), what) for words, what in EXAMPLES.get(verb, ())]
    if not commands:
        return exit_codes
    width = max(len(command) for command, what in commands if what or len(commands) == 1)
    lines = [f"  {command:<{width}}  {what}".rstrip() for command, what in commands]
    return "\n".join(["examples:", *lines, "", exit_codes])
