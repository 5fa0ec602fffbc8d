"""`landing new`: what it writes is a source that works at once."""

from __future__ import annotations

import importlib
import json
import os
import pty
import resource
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from landing.catalog.workspace import Workspace
from landing.errors import UsageError
from landing.scaffold import (
    AUTHS,
    PAGINGS,
    CursorPlan,
    SourcePlan,
    StreamPlan,
    paging_plan,
    planned_auth,
    write_source,
)
from tests.kit import REPOSITORY, Kit, Outcome, Zone
from tests.servers.api import Api
from tests.servers.library import COUNTS, Library, library
from tests.servers.oauth import Provider, pem
from tests.servers.scripted import Exchange, serve

ORDERS = ["--auth=bearer", "--paging=offset", "--streams", "orders", "--records=data"]
CURSOR = ["--cursor=updated_at", "--since=since"]

READABLE_STREAMS = '''\
"""The streams of shop: one function for each, which yields its pages."""

# No `from __future__ import annotations`: dlt looks for the cursor in the signature.
from collections.abc import Iterator
from typing import Any

import dlt

from landing.http import OffsetPages

from .client import api


@dlt.resource(primary_key="id")
def orders(
    updated_at: dlt.sources.incremental[str] = dlt.sources.incremental(
        "updated_at", initial_value="1970-01-01T00:00:00Z"
    ),
    limit: int = 500,
) -> Iterator[Any]:
    """The records of orders."""
    yield from api().pages(
        "orders", records="data", paging=OffsetPages(limit), params={"since": updated_at.last_value}
    )
'''


def new(kit: Kit, api: Api, *arguments: str) -> Outcome:
    return kit.landing("new", "shop", f"--base-url={api.url}", *arguments)


def source_file(kit: Kit, name: str, source: str = "shop") -> Path:
    return kit.root / "dlt" / "sources" / source / name


def test_a_written_source_works_at_once(
    kit: Kit, api: Api, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = new(kit, api, *ORDERS, *CURSOR)
    assert done.code == 0, done.text
    assert source_file(kit, "streams.py").read_text() == READABLE_STREAMS
    assert "Next: set SHOP_URL, SHOP_TOKEN in .env" in done.out
    monkeypatch.setenv("SHOP_URL", api.url)
    monkeypatch.setenv("SHOP_TOKEN", api.token)
    assert kit.discover("shop").code == 0
    kit.configure("shop", "orders", kit.discovered_file("shop", "orders").read_text())
    assert "2,350 rows" in kit.run("shop", "orders").out
    api.update("orders", 5, name="changed")
    assert "1 row in" in kit.run("shop", "orders").out
    checked = kit.landing("check", "shop", "--max-rows=100")
    assert checked.code == 0, checked.text


@pytest.mark.parametrize("auth", ["oauth2-client", "oauth2-jwt"])
def test_a_written_source_gets_its_tokens(
    kit: Kit, provider: Provider, monkeypatch: pytest.MonkeyPatch, auth: str
) -> None:
    private, public = pem(rsa.generate_private_key(65537, 2048))
    provider.service_account("lander", public)
    client = provider.client("client-credentials")
    url = provider.token_url if auth == "oauth2-client" else provider.assertion_url
    done = kit.landing(
        *("new", "shop", f"--base-url={provider.url}/api", f"--auth={auth}", "--records=data"),
        *(f"--auth-arg=token_url={url}", "--auth-arg=scope=read"),
        *("--paging=offset", "--streams", "orders"),
    )
    assert done.code == 0, done.text
    names = {"URL": f"{provider.url}/api", "CLIENT_ID": client.id, "CLIENT_SECRET": client.secret}
    for name, value in {**names, "ISSUER": "lander", "PRIVATE_KEY": private}.items():
        monkeypatch.setenv(f"SHOP_{name}", value)
    assert kit.discover("shop").code == 0
    assert "id" in kit.discovered("shop", "orders")["fields"]
    checked = kit.landing("check", "shop", "--only=records", "--only=secrets")
    assert checked.code == 0, checked.text
    assert "an access or refresh token" in checked.out
    assert ": not in output, logs, records" in checked.out


def test_the_settings_are_added_to_the_example(kit: Kit, api: Api) -> None:
    example = kit.repository / ".env.example"
    example.write_text("DLT_BUCKET_URL=\n")
    done = new(kit, api, *ORDERS)
    assert ".env.example" in done.out
    assert example.read_text() == (
        "DLT_BUCKET_URL=\n\n# Source shop (orchestration/dlt/sources/shop/client.py).\n"
        f"# SHOP_URL={api.url}\n# SHOP_TOKEN=\n"
    )


def test_a_longer_name_in_the_example_is_another_variable(kit: Kit, api: Api) -> None:
    example = kit.repository / ".env.example"
    example.write_text("WEBSHOP_URL=\nWEBSHOP_TOKEN=\n")
    new(kit, api, *ORDERS)
    assert "\n# SHOP_URL=" in example.read_text()


def test_streams_named_as_what_the_files_use(
    kit: Kit, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["api", "dlt", "int", "client", "streams"]
    paths = [f"{name}=orders" for name in names]
    options = ["--auth=bearer", "--paging=offset", "--records=data"]
    assert new(kit, api, *options, "--streams", *paths).code == 0
    monkeypatch.setenv("SHOP_URL", api.url)
    monkeypatch.setenv("SHOP_TOKEN", api.token)
    assert kit.discover("shop").code == 0
    for name in names:
        assert kit.discovered("shop", name)["fields"]


def test_nothing_is_overwritten(kit: Kit, api: Api) -> None:
    assert new(kit, api, *ORDERS).code == 0
    before = source_file(kit, "streams.py").read_text()
    again = new(kit, api, *ORDERS, *CURSOR)
    assert again.code == 2
    assert "orchestration/dlt/sources/shop exists already" in again.err
    assert source_file(kit, "streams.py").read_text() == before


def test_a_test_file_that_is_there_keeps_everything_from_being_written(kit: Kit, api: Api) -> None:
    file = kit.root / "dlt" / "tests" / "test_shop.py"
    file.parent.mkdir()
    file.write_text("mine")
    done = new(kit, api, *ORDERS)
    assert done.code == 2
    assert not source_file(kit, "client.py").exists()
    assert file.read_text() == "mine"


@pytest.mark.parametrize("most", [300, 700, 2_000])
def test_a_disk_that_fills_up_leaves_nothing_of_a_new_source(kit: Kit, most: int) -> None:
    """Files can't grow above so many bytes: of the source's own, or only the example's."""
    example = kit.repository / ".env.example"
    example.write_text("#" * 1_999 + "\n")
    before = sorted(kit.repository.rglob("*"))
    landing = str(Path(sys.executable).with_name("landing"))
    done = subprocess.run(
        [landing, "new", "shop", "--base-url=http://x.org/api", *ORDERS, *CURSOR],
        cwd=kit.root,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)),
        check=False,
    )
    assert done.returncode == 2
    assert "sources/shop can't be written (File too large): the new source was" in done.stderr
    assert sorted(kit.repository.rglob("*")) == before
    assert example.read_text() == "#" * 1_999 + "\n"


def test_only_variables_that_the_example_lacks_are_added(kit: Kit, api: Api) -> None:
    example = kit.repository / ".env.example"
    example.write_text("SHOP_URL=https://shop.example.com\n")
    new(kit, api, *ORDERS)
    assert example.read_text().count("SHOP_URL=") == 1
    assert "# SHOP_TOKEN=\n" in example.read_text()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--auth=bearer"], "add --paging, --streams (or --openapi): there is no terminal"),
        ([*ORDERS, "--auth=barer"], "--auth: there is no 'barer'; did you mean 'bearer'?"),
        ([*ORDERS, "--paging=ofset"], "--paging: there is no 'ofset'; did you mean 'offset'?"),
        ([*ORDERS, "--paging-arg=ofset=x"], "--paging=offset has no 'ofset'; did you mean"),
        ([*ORDERS, "--paging-arg=offset"], "--paging-arg offset: write it as NAME=VALUE"),
        ([*ORDERS, "--paging=cursor"], "--paging=cursor needs --paging-arg path=…"),
        ([*ORDERS, "--paging=page", "--paging-arg=first=x"], "'x' is not a whole number"),
        ([*ORDERS, "--cursor=updated_at"], "--cursor needs --since"),
        ([*ORDERS, "--since=since"], "--since needs --cursor"),
        ([*ORDERS, "--initial-value=0"], "--initial-value needs --cursor"),
        ([*ORDERS, "--cursor=at", "--since=q=at>"], "the template has to have {value} in it"),
        ([*ORDERS, "--base-url=shop.example.com"], "has to begin with http:// or https://"),
        ([*ORDERS, "--base-url=https://me:secret@x.org"], "the base URL has a password"),
        ([*ORDERS, "--streams", "a-b", "a_b"], "would be the same function, a_b"),
        ([*ORDERS, "--streams", "a/b"], "'a/b' is not a stream name"),
    ],
)
def test_mistakes_are_reported_and_nothing_is_written(
    kit: Kit, api: Api, arguments: list[str], told: str
) -> None:
    done = new(kit, api, *arguments)
    assert done.code == 2
    assert told in done.err
    assert not source_file(kit, "client.py").parent.exists()


@pytest.mark.parametrize("name", ["my-shop", "class", "2shop", "_shop", "shop.eu"])
def test_a_source_is_named_as_a_package_can_be(kit: Kit, api: Api, name: str) -> None:
    done = kit.landing("new", name, f"--base-url={api.url}", *ORDERS)
    assert done.code == 2
    assert "name" in done.err


def test_the_kinds_are_listed(kit: Kit) -> None:
    auths = kit.landing("new", "shop", "--auth=help").out
    assert all(f"--auth={kind}: " in auths for kind in AUTHS)
    pagings = kit.landing("new", "shop", "--paging=help").out
    assert "--paging-arg path=…: path of the cursor in the body" in pagings
    assert all(f"--paging={kind}: " in pagings for kind in PAGINGS)


def test_at_a_terminal_what_is_missing_is_asked_for(kit: Kit, api: Api) -> None:
    answers = ["bearer", "pages", "page", "", "per_page", "", "", "orders lines=order/lines"]
    answers += ["data", "", "updated_at", "since", ""]
    command = "import sys; from landing.cli import main; sys.exit(main(sys.argv[1:]))"
    terminal, end = pty.openpty()
    with os.fdopen(terminal, "w") as keyboard, os.fdopen(end) as stdin:
        keyboard.write("".join(f"{answer}\n" for answer in answers))
        keyboard.flush()
        done = subprocess.run(
            [sys.executable, "-c", command, "new", "shop", f"--base-url={api.url}"],
            stdin=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert "There is no 'pages'" in done.stdout
    written = source_file(kit, "streams.py").read_text()
    assert 'NumberedPages(limit, size="per_page")' in written
    assert '"order/lines",' in written
    assert 'params={"since": updated_at.last_value}' in written


def a_plan(auth: str, paging: str, name: str) -> SourcePlan:
    def needed(kinds: Any, kind: str) -> dict[str, str]:
        needed = {one.name: "a.b" for one in kinds[kind].arguments if one.default is None}
        return needed if len(name) % 2 else {**needed, **optional(kinds, kind)}

    pages = paging_plan(paging, {**needed(PAGINGS, paging), **sizes(paging)})
    cursor = CursorPlan("changed at", "updated_at[gte]", 0)
    streams = [
        StreamPlan("orders", "orders", paging=pages, cursor=CursorPlan("updated_at", "since")),
        StreamPlan("class", 'a "path"/with\\odd', "data.items", pages, ["a", "b"], cursor),
        StreamPlan("Order-Lines", "x" * 80, "y" * 30, pages, [], params={"kind": "z" * 40}),
    ]
    title = 'A "title" \\ with """ all\nsorts of things ' + "and very long " * 10
    return SourcePlan(
        name, "https://x.org", planned_auth(auth, needed(AUTHS, auth)), streams, title
    )


def optional(kinds: Any, kind: str) -> dict[str, str]:
    return {one.name: "a b" for one in kinds[kind].arguments if one.default == ""}


def sizes(paging: str) -> dict[str, str]:
    return {"size": "per_page"} if any(a.name == "size" for a in PAGINGS[paging].arguments) else {}


def test_all_that_can_be_written_is_formatted_linted_and_typed(tmp_path: Path) -> None:
    pairs = [("bearer", paging) for paging in PAGINGS] + [(auth, "offset") for auth in AUTHS]
    folders = []
    workspace = Workspace(tmp_path / "orchestration")
    for number, (auth, paging) in enumerate(pairs):
        write_source(workspace, a_plan(auth, paging, f"shop{number}"))
        folders.append(workspace.sources / f"shop{number}")
    config = str(REPOSITORY / "pyproject.toml")
    ruff = [sys.executable, "-m", "ruff"]
    passes([*ruff, "check", "--config", config, workspace.root])
    passes([*ruff, "format", "--check", "--config", config, workspace.root])
    passes([sys.executable, "-m", "mypy", "--config-file", config, *folders])


# Each would make a file by this code, were it a part of the module's code and not data in it.
MARK = "__import__('pathlib').Path('executed').touch()"
HOSTILE = [
    f"{{{MARK}}}",
    f'"); {MARK}; ("',
    f"'); {MARK}; ('",
    f'"""\n{MARK}\n"""',
    f"\\\n{MARK}\n#",
    f"x\r{MARK}\u2028{MARK}\x0c\n{MARK}",
    f'\\" + {MARK} + "\x00\ud800 {{',
]


@pytest.mark.parametrize("auth", [kind for kind in AUTHS if kind != "oauth2-login"])
@pytest.mark.parametrize("text", HOSTILE)
def test_foreign_text_is_only_data_in_what_is_written(
    kit: Kit, monkeypatch: pytest.MonkeyPatch, text: str, auth: str
) -> None:
    """All that a document or an argument can say, in a module that is imported and called."""
    monkeypatch.chdir(kit.root)
    given = {argument.name: f"/{text}" for argument in AUTHS[auth].arguments}
    if "header" in given:
        given["header"] = f"X: {{token}}{text}"
    paging = paging_plan("cursor", {"path": text, "param": text, "size": text})
    cursor = CursorPlan("changed", text, text)  # dlt reads the field as a path of its own
    stream = StreamPlan(
        "orders", text, text, paging, [text, "b"], cursor, {text: text}, text, [text], {text: text}
    )
    base_url = f"https://x.org/{''.join(c for c in text if c.isprintable()).replace(' ', '')}"
    plan = SourcePlan("hostile", base_url, planned_auth(auth, given), [stream], text)
    write_source(Workspace(kit.root), plan)
    for name in (
        "URL",
        "TOKEN",
        "API_KEY",
        "USER",
        "PASSWORD",
        "CLIENT_ID",
        "CLIENT_SECRET",
        *("ISSUER", "PRIVATE_KEY"),
    ):
        monkeypatch.setenv(f"HOSTILE_{name}", "https://127.0.0.1:9")
    monkeypatch.syspath_prepend(str(kit.root / "dlt" / "sources"))
    for module in ("hostile", "hostile.client", "hostile.streams"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    source = importlib.import_module("hostile")
    client = importlib.import_module("hostile.client")
    client.api()
    assert source.orders.name == "orders"
    assert not Path("executed").exists()


def test_a_base_url_is_one_line(kit: Kit) -> None:
    done = kit.landing("new", "shop", "--base-url=https://x.org/\nDLT_BUCKET_URL=x", *ORDERS)
    assert done.code == 2
    assert "can't be the base URL: it has a space or a control character" in done.err


def passes(command: Sequence[str | Path]) -> None:
    env = {**os.environ, "MYPYPATH": str(REPOSITORY / "src")}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def running_library() -> Any:
    with library() as running:
        yield running


def test_a_real_openapi_document_becomes_a_source_that_lands_all_rows(
    kit: Kit, folder_zone: Zone, running_library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = kit.landing("new", "library", f"--openapi={running_library.document}")
    assert done.code == 0, done.text
    assert "=/v1/authors/{author_id}/books" in done.out
    monkeypatch.setenv("LIBRARY_URL", running_library.url)
    monkeypatch.setenv("LIBRARY_TOKEN", running_library.token)
    assert kit.discover("library").code == 0
    for stream in COUNTS:
        kit.configure("library", stream, select(kit, stream))
    landed = kit.run("library", "--all")
    assert landed.code == 0, landed.text
    for stream, count in COUNTS.items():
        assert folder_zone.count("library", stream) == count, stream
    assert "library/books: nothing new" in kit.run("library", "books").out
    checked = kit.landing("check", "library", "--max-rows=100")
    assert checked.code == 0, checked.text


def select(kit: Kit, stream: str) -> str:
    return json.dumps({**kit.discovered("library", stream), "selected": True})


def test_what_is_guessed_says_so(kit: Kit, running_library: Library) -> None:
    kit.landing("new", "library", f"--openapi={running_library.document}")
    written = source_file(kit, "streams.py", "library").read_text()
    for line in (
        "# Guess: the primary key is author_id.",
        "# Guess: the cursor is updated_at, and updated_since filters by it.",
        'paging=OffsetPages(limit, total="total"),',
        'paging=NumberedPages(limit, size="per_page")',
        'paging=CursorPages(path="meta.next_cursor")',
        "paging=NextUrlPages()",
        "paging=LinkPages()",
        "limit: int = 200",
        "# No paging was found: if the API has pages",
    ):
        assert line in written
    passes([sys.executable, "-m", "ruff", "check", source_file(kit, "", "library")])


def test_chosen_streams_of_a_document(kit: Kit, running_library: Library, tmp_path: Path) -> None:
    arguments = [f"--openapi={running_library.document}", "--streams"]
    wrong = kit.landing("new", "library", *arguments, "book")
    assert wrong.code == 2
    assert "has no list 'book'; did you mean 'books'?" in wrong.err
    assert kit.landing("new", "library", *arguments, "books", "loans").code == 0
    init = source_file(kit, "__init__.py", "library").read_text()
    assert init == 'from .streams import books, loans\n\n__all__ = ["books", "loans"]\n'


SWAGGER = {"swagger": "1.2", "paths": {}}
NO_LISTS: dict[str, Any] = {"openapi": "3.1.0", "paths": {"/x/{id}": {"get": {"responses": {}}}}}
A_LIST = {
    "responses": {
        "200": {
            "description": "",
            "content": {
                "application/json": {
                    "schema": {"type": "array", "items": {"$ref": "#/components/schemas/X"}}
                }
            },
        }
    }
}
NO_SERVER = {
    "openapi": "3.0.3",
    "paths": {"/x": {"get": A_LIST}},
    "components": {"schemas": {"X": {"allOf": [{"$ref": "#/components/schemas/X"}]}}},
}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (json.dumps(SWAGGER), "is of version 1.2: OpenAPI 3 and Swagger 2 can be read"),
        (json.dumps(NO_LISTS), "none of its GETs returns a list of objects"),
        (json.dumps(NO_SERVER), "no stream can be made from it"),
        (json.dumps({"openapi": "3.0.3", "paths": {"/x": {"get": A_LIST}}}), "contradicts itself"),
        ('{"openapi": "3.1.0"}', "has no paths"),
        ("[1, 2]", "is neither an OpenAPI document in JSON nor one in YAML"),
        ("a: b: c: [", "is neither an OpenAPI document in JSON nor one in YAML"),
        ("openapi: 3.1.0\npaths: {}\n", "none of its GETs returns a list of objects"),
        (None, "No such file"),
    ],
)
def test_documents_that_cannot_be_read(
    kit: Kit, tmp_path: Path, content: str | None, told: str
) -> None:
    file = tmp_path / "openapi.json"
    if content is not None:
        file.write_text(content)
    done = kit.landing("new", "shop", f"--openapi={file}")
    assert done.code == 2
    assert told in done.err
    assert "Traceback" not in done.err


def test_a_parameter_that_the_cursor_fills_is_not_missing(kit: Kit, tmp_path: Path) -> None:
    since = {"name": "updated_since", "in": "query", "required": True, "schema": {"type": "string"}}
    record = {
        "type": "object",
        "properties": {"id": {"type": "integer"}, "updated_at": {"type": "string"}},
    }
    document = {
        "openapi": "3.0.3",
        "servers": [{"url": "https://x.org"}],
        "paths": {"/x": {"get": {**A_LIST, "parameters": [since]}}},
        "components": {"schemas": {"X": record}},
    }
    file = tmp_path / "openapi.json"
    file.write_text(json.dumps(document))
    done = kit.landing("new", "shop", f"--openapi={file}")
    assert done.code == 0, done.text
    written = source_file(kit, "streams.py").read_text()
    assert '"updated_since": updated_at.last_value' in written


def referring(to: str) -> str:
    return json.dumps(
        {
            "openapi": "3.0.3",
            "servers": [{"url": "https://x.org"}],
            "paths": {
                "/x": {"get": A_LIST},
                "/y": {"get": {"responses": {"200": {"$ref": to}}}},
            },
            "components": {
                "schemas": {"X": {"type": "object", "properties": {"id": {"type": "integer"}}}}
            },
        }
    )


ANSWER = json.dumps(A_LIST["responses"]["200"]).replace("#/", "openapi.json#/")


@pytest.mark.parametrize(
    ("to", "outcome"),
    [
        ("parts/answer.json", "/y"),
        ("../answer.json", "is outside of the document's own folder or host"),
        ("file:///etc/passwd", "is outside of the document's own folder or host"),
        ("link.json", "is outside of the document's own folder or host"),
        ("{server}/answer.json", "is outside of the document's own folder or host"),
        ("ftp://127.0.0.1/x", "is outside of the document's own folder or host"),
        ("parts/text.json", "is neither an OpenAPI document in JSON"),
        ("parts/none.json", "No such file"),
        ("parts/circle.json", "left out"),
        ("#/paths/~1y/get/responses/200", "left out"),
    ],
)
def test_references_outside_of_the_documents_folder_or_host_are_refused(
    kit: Kit, tmp_path: Path, to: str, outcome: str
) -> None:
    folder = tmp_path / "api"
    (folder / "parts").mkdir(parents=True)
    answer = ANSWER.replace("openapi.json#/", "../openapi.json#/")
    (folder / "parts" / "answer.json").write_text(answer)
    (tmp_path / "answer.json").write_text(answer)
    (folder / "link.json").symlink_to(tmp_path / "answer.json")
    (folder / "parts" / "text.json").write_text("only text")
    (folder / "parts" / "circle.json").write_text('{"$ref": "circle.json"}')
    with serve(lambda exchange: exchange.reply(200, answer.encode())) as server:
        file = folder / "openapi.json"
        file.write_text(referring(to.replace("{server}", server.url)))
        done = kit.landing("new", "shop", f"--openapi={file}")
    assert done.code == 0, done.text
    assert server.seen == []
    assert "Traceback" not in done.text
    assert '"x"' in source_file(kit, "streams.py").read_text()
    if outcome == "/y":
        assert '"y"' in source_file(kit, "streams.py").read_text()
    else:
        assert outcome in done.text


def test_a_document_on_a_server_refers_to_its_own_host(kit: Kit, tmp_path: Path) -> None:
    def answer(exchange: Exchange) -> None:
        is_root = exchange.seen.path == "/openapi.json"
        exchange.reply(200, (referring("answer.json") if is_root else ANSWER).encode())

    with serve(answer) as server:
        done = kit.landing("new", "shop", f"--openapi={server.url}/openapi.json")
    assert done.code == 0, done.text
    assert '"y"' in source_file(kit, "streams.py").read_text()


def test_its_own_host_can_not_send_a_reference_elsewhere(kit: Kit) -> None:
    def answer(exchange: Exchange) -> None:
        if exchange.seen.path == "/openapi.json":
            exchange.reply(200, referring("answer.json").encode())
        else:
            exchange.reply(302, Location=f"{other.url}/answer.json")

    with serve(lambda exchange: exchange.reply(200, ANSWER.encode())) as other, serve(answer) as at:
        done = kit.landing("new", "shop", f"--openapi={at.url}/openapi.json")
    assert other.seen == []
    assert "is redirected; refer to the address" in done.text
    assert "Traceback" not in done.text


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ('{"openapi": "3.0.3",\n "paths": {,}}', "line 2, column 12"),
        ("openapi: 3.0.3\npaths:\n  - [a\nx: y", "line 4, column 2"),
        ("[" * 100_000, "nested more than 500 levels deep"),
        ("- " * 100_000, "nested more than 500 levels deep"),
    ],
)
def test_a_broken_document_is_named_with_its_line(
    kit: Kit, tmp_path: Path, content: str, where: str
) -> None:
    file = tmp_path / "openapi.json"
    file.write_text(content)
    done = kit.landing("new", "shop", f"--openapi={file}")
    assert done.code == 2
    assert where in done.err
    assert "Traceback" not in done.text


def test_a_document_whose_server_is_down(kit: Kit) -> None:
    done = kit.landing("new", "shop", "--openapi=http://127.0.0.1:9/openapi.json")
    assert done.code == 1
    assert (
        "the OpenAPI document could not be fetched: GET http://127.0.0.1:9/openapi.json" in done.err
    )
    assert "HTTPConnectionPool" not in done.err


def test_without_a_parser_the_extra_is_named(kit: Kit, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema_path", None)
    done = kit.landing("new", "shop", "--openapi=x.json")
    assert done.code == 2
    assert "pip install 'dlt-landing[openapi]'" in done.err


def test_kinds_of_paging_that_are_not_there() -> None:
    with pytest.raises(UsageError, match="there is no 'pages'"):
        paging_plan("pages", {})
