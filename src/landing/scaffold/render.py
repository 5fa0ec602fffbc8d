"""Renders the files of a new source, formatted as ruff would format them."""

from __future__ import annotations

import json
import keyword
import textwrap
from collections.abc import Iterable, Mapping, Sequence

from landing.scaffold.kinds import AUTHS, PAGINGS
from landing.scaffold.plan import (
    TAKEN,
    CursorPlan,
    PagingPlan,
    SourcePlan,
    StreamPlan,
)
from landing.secrets import redacted

WIDTH = 100
_INDENT = "    "

# These classes take the page size as an argument; for others it is a query parameter.
WITH_LIMIT = ("offset", "page", "keyset")


def client(plan: SourcePlan) -> str:
    width = max(len(name) for name, _ in plan.variables())
    variables = "\n".join(
        f"    {name:<{width}}  {_harmless(what)}" for name, what in plan.variables()
    )
    kind = AUTHS[plan.auth.kind]
    store = "token_store" if plan.auth.kind == "oauth2-login" else ""
    names = sorted(filter(None, ("Api", kind.class_name, store)))
    auth = "" if not kind.class_name else _auth(plan)
    made = "auth=auth()" if auth else ""
    arguments = [f'os.environ["{plan.prefix}_URL"]', *filter(None, [made])]
    return (
        f'"""{_title(plan)}.\n\nEnvironment:\n{variables}\n"""\n\n'
        f"import os\n\nfrom landing.http import {', '.join(names)}\n\n\n"
        f"{auth}def api() -> Api:\n{_INDENT}return {_call('Api', arguments, 1, 'return ')}\n"
    )


def _title(plan: SourcePlan) -> str:
    title = " ".join(plan.title.split()).rstrip(".")
    return textwrap.shorten(_harmless(title) or f"The API of {plan.name}", WIDTH - 10)


def _auth(plan: SourcePlan) -> str:
    class_name = AUTHS[plan.auth.kind].class_name
    call = _call(class_name, list(_auth_arguments(plan)), 1, "return ")
    return f"def auth() -> {class_name}:\n{_INDENT}return {call}\n\n\n"


def _auth_arguments(plan: SourcePlan) -> Iterable[str]:
    def variable(name: str) -> str:
        return f'os.environ["{plan.prefix}_{name}"]'

    given = plan.auth.arguments
    match plan.auth.kind:
        case "bearer":
            yield variable("TOKEN")
        case "api-key":
            yield from (variable("API_KEY"), f"name={_text(given['name'])}")
        case "api-key-in-query":
            yield from (variable("API_KEY"), f"name={_text(given['name'])}", 'location="query"')
        case "basic":
            yield from (variable("USER"), variable("PASSWORD"))
        case "session" | "token" as kind:
            yield _address(plan, given["url"])
            user = f"{_text(given['user'])}: {variable('USER')}"
            body = f"{{{user}, {_text(given['password'])}: {variable('PASSWORD')}}}"
            yield f"{'data' if kind == 'session' else 'json'}={body}"
            for name in ("cookie", "token", "header", "expires"):
                if given.get(name):
                    yield f"{name}={_text(given[name])}"
        case "oauth2-client" | "oauth2-login":
            yield _address(plan, given["token_url"])
            yield from (variable("CLIENT_ID"), variable("CLIENT_SECRET"))
        case "oauth2-jwt":
            yield _address(plan, given["token_url"])
            yield f"issuer={variable('ISSUER')}"
            yield f"private_key={variable('PRIVATE_KEY')}"
    if plan.auth.kind == "oauth2-login":
        yield f'store=token_store("{plan.name}")'
        yield f"authorize_url={_address(plan, given['authorize_url'])}"
    if scope := given.get("scope"):
        yield f"scope={_text(scope)}"


def _address(plan: SourcePlan, url: str | int) -> str:
    """A literal for an absolute URL; an expression below the base URL for a path."""
    if "://" in str(url):
        return _text(url)
    below = _text(f"/{str(url).lstrip('/')}")
    return f'os.environ["{plan.prefix}_URL"] + {below}'


def streams(plan: SourcePlan) -> str:
    pagings = {PAGINGS[stream.paging.kind].class_name for stream in plan.streams} - {""}
    kit = f"from landing.http import {', '.join(sorted(pagings))}\n\n" if pagings else ""
    described = "\n\n\n".join(_stream(plan, stream) for stream in plan.streams)
    uses_variables = any(stream.variables for stream in plan.streams)
    system = "import os\n" if uses_variables else ""
    return (
        f'"""The streams of {plan.name}: one function for each, which yields its pages."""\n\n'
        f"# No `from __future__ import annotations`: dlt looks for the cursor in the signature.\n"
        f"{system}from collections.abc import Iterator\nfrom typing import Any\n\n"
        f"import dlt\n\n{kit}from .client import api\n\n\n{described}\n"
    )


def _stream(plan: SourcePlan, stream: StreamPlan) -> str:
    key = list(stream.primary_key)
    hints = [f"name={_text(stream.name)}"] if stream.name != stream.function else []
    if key:
        fields = f"[{', '.join(map(_text, key))}]" if len(key) > 1 else _text(key[0])
        hints.append(f"primary_key={fields}")
    decorator = f"@dlt.resource({', '.join(hints)})" if hints else "@dlt.resource"
    comments = "".join(_comment(guess) for guess in stream.guesses)
    body = [f'{_INDENT}"""{_description(stream)}"""', *_body(plan, stream)]
    signature = _signature(stream)
    return f"{comments}{decorator}\n{signature}\n" + "\n".join(body)


def _comment(text: str) -> str:
    lines = textwrap.wrap(_harmless(text), WIDTH - 2)
    return "".join(f"# {line}\n" for line in lines)


def _description(stream: StreamPlan) -> str:
    text = _harmless(stream.description or f"The records of {stream.path}")
    return textwrap.shorten(text.rstrip("."), WIDTH - 12, placeholder=" …") + "."


def _harmless(text: str) -> str:
    """Foreign text as one line that is safe in a docstring or comment."""
    text = redacted(text)
    printable = "".join(letter if letter.isprintable() else " " for letter in text)
    return " ".join(printable.replace("\\", "/").replace('"', "'").split())


def _signature(stream: StreamPlan) -> str:
    parameters = []
    if stream.cursor is not None:
        field, start = _text(stream.cursor.field), _text(stream.cursor.initial_value)
        kind = "dlt.sources.incremental"
        spelled = type(stream.cursor.initial_value).__name__
        before = f"{_parameter(stream.cursor)}: {kind}[{spelled}] = "
        call = _call(kind, [field, f"initial_value={start}"], 1, f"{before},")
        parameters.append(f"{before}{call}")
    if stream.paging.kind in WITH_LIMIT or stream.paging.arguments.get("size"):
        parameters.append(f"limit: int = {stream.paging.rows}")
    opening, closing = f"def {stream.function}(", ") -> Iterator[Any]:"
    line = f"{opening}{', '.join(parameters)}{closing}"
    if len(line) <= WIDTH and "\n" not in line:
        return line
    inner = "".join(f"{_INDENT}{parameter},\n" for parameter in parameters)
    return f"{opening}\n{inner}{closing}"


def _parameter(cursor: CursorPlan) -> str:
    """Name of the cursor's argument: the field's, if Python allows it."""
    is_usable = cursor.field.isidentifier() and not keyword.iskeyword(cursor.field)
    return cursor.field if is_usable and cursor.field not in ("limit", *TAKEN) else "cursor"


def _body(plan: SourcePlan, stream: StreamPlan) -> list[str]:
    if stream.paging.kind == "graphql":
        return _graphql(stream)
    arguments = [_path(plan, stream)]
    if stream.records:
        arguments.append(f"records={_text(stream.records)}")
    if PAGINGS[stream.paging.kind].class_name:
        arguments.append(f"paging={_paging(stream.paging)}")
    params = {name: _text(value) for name, value in stream.params.items()}
    in_query = [name for name in stream.variables if name not in stream.in_path]
    params |= {name: f'os.environ["{plan.variable(name)}"]' for name in in_query}
    if stream.cursor is not None:
        params[stream.cursor.param] = _last_value(stream.cursor)
    size = stream.paging.arguments.get("size")
    if size and stream.paging.kind not in WITH_LIMIT:
        params[str(size)] = "limit"
    if stream.is_post:
        arguments.append(f"json={_nested(params)}")
    elif params:
        arguments.append(f"params={_dictionary(params)}")
    return [f"{_INDENT}yield from {_call('api().pages', arguments, 1, 'yield from ')}"]


def _path(plan: SourcePlan, stream: StreamPlan) -> str:
    if not stream.in_path:
        return _text(stream.path)
    names = {name: f"{{os.environ['{plan.variable(name)}']}}" for name in stream.in_path}
    return f'f"{stream.path_with(names)}"'


def _graphql(stream: StreamPlan) -> list[str]:
    """The query of a connection, and the call that reads its pages."""
    given = {name: _harmless(str(value)) for name, value in stream.paging.arguments.items()}
    *outer, last = given["connection"].replace("{stream}", _harmless(stream.name)).split(".")
    declared, passed = "$first: Int!, $after: String", f"{given['size']}: $first, after: $after"
    variables = {"first": "limit"}
    if stream.cursor is not None:
        declared += ", $since: String"
        passed += f", {_harmless(stream.cursor.param)}: $since"
        variables["since"] = _last_value(stream.cursor)
    lines = [f"query ({declared}) {{", *(f"{name} {{" for name in outer), f"{last}({passed}) {{"]
    depth = len(lines)
    inner = ["pageInfo { hasNextPage endCursor }", "nodes {", *_fields(given["fields"]), "}"]
    query = [f"{'  ' * level}{line}" for level, line in enumerate(lines)]
    query += [f"{'  ' * depth}{line}" for line in inner]
    query += [f"{'  ' * level}}}" for level in reversed(range(depth))]
    arguments = ["query", _text(".".join([*outer, last])), f"variables={_dictionary(variables)}"]
    if stream.path != "graphql":
        arguments.append(f"path={_text(stream.path)}")
    return [
        f'{_INDENT}query = """',
        *(f"{_INDENT}{line}" for line in query),
        f'{_INDENT}"""',
        f"{_INDENT}yield from {_call('api().graphql', arguments, 1, 'yield from ')}",
    ]


def _fields(names: str) -> list[str]:
    return [f"  {line}" for line in textwrap.wrap(names, WIDTH // 2)]


def _last_value(cursor: CursorPlan) -> str:
    value = f"{_parameter(cursor)}.last_value"
    if not cursor.template:
        return value
    before, _, after = cursor.template.replace("{value}", "\0").partition("\0")
    braces = str.maketrans({"{": "{{", "}": "}}"})
    literal = _text(f"{before.translate(braces)}{{value}}{after.translate(braces)}")
    return f"f{literal}".replace("{value}", f"{{{value}}}", 1)


def _dictionary(members: Mapping[str, str]) -> str:
    """A literal of expressions by name."""
    return f"{{{', '.join(f'{_text(name)}: {value}' for name, value in members.items())}}}"


def _nested(members: Mapping[str, str]) -> str:
    """A literal of a JSON body; names are paths in it."""
    outer: dict[str, dict[str, str]] = {}
    for name, value in members.items():
        first, _, rest = name.partition(".")
        outer.setdefault(first, {})[rest] = value
    return _dictionary(
        {name: inner[""] if "" in inner else _nested(inner) for name, inner in outer.items()}
    )


def _paging(plan: PagingPlan) -> str:
    """The call, without arguments that have the default value."""
    kind = PAGINGS[plan.kind]
    defaults = {argument.name: argument.default for argument in kind.arguments}
    given = {n: v for n, v in plan.arguments.items() if v != defaults[n] and v != ""}
    if plan.kind not in WITH_LIMIT:
        given.pop("size", None)
    arguments: list[str] = []
    if plan.kind == "keyset":
        arguments += [_text(given.pop("field")), _text(given.pop("param")), "limit=limit"]
    elif plan.kind in WITH_LIMIT:
        arguments.append("limit")
    arguments += [f"{n}={_text(v)}" for n, v in given.items()]
    return f"{kind.class_name}({', '.join(arguments)})"


def _call(name: str, arguments: Sequence[str], depth: int, before: str = "") -> str:
    """A call on one line, or broken up as ruff does if that is too long."""
    line = f"{name}({', '.join(arguments)})"
    indent = _INDENT * depth
    if len(indent) + len(before) + len(line) <= WIDTH:
        return line
    joined = f"{indent}{_INDENT}{', '.join(arguments)}"
    if len(joined) <= WIDTH:
        return f"{name}(\n{joined}\n{indent})"
    inner = "".join(f"{indent}{_INDENT}{argument},\n" for argument in arguments)
    return f"{name}(\n{inner}{indent})"


def _text(value: str | int) -> str:
    """A literal, in double quotes unless that needs escapes.

    JSON spells printable text as Python does, but not the rest, such as half a surrogate pair.
    """
    if isinstance(value, int) or not value.isprintable() or ('"' in value and "'" not in value):
        return repr(value)
    return json.dumps(value, ensure_ascii=False)


def init(plan: SourcePlan) -> str:
    """The text of `__init__.py`, with names sorted as ruff sorts them."""
    names = sorted(stream.function for stream in plan.streams)
    line = f"from .streams import {', '.join(names)}"
    if len(line) > WIDTH:
        line = "from .streams import (\n" + "".join(f"{_INDENT}{n},\n" for n in names) + ")"
    listed = f"__all__ = [{', '.join(json.dumps(n) for n in names)}]"
    if len(listed) > WIDTH:
        listed = "__all__ = [\n" + "".join(f"{_INDENT}{json.dumps(n)},\n" for n in names) + "]"
    return f"{line}\n\n{listed}\n"


def test(plan: SourcePlan) -> str:
    return (
        f'"""The checks of `landing check {plan.name}`, a test for each stream and check.\n\n'
        f"They replay what `landing check {plan.name} --record` recorded, or call the API.\n"
        f'"""\n\nfrom landing.testing import source_checks\n\n'
        f'test_{plan.name} = source_checks("{plan.name}")\n'
    )


def settings(source: str, values: Mapping[str, str], folder: str | None = None) -> str:
    """Lines for `.env.example`; `folder` is where the source is, if not in a workspace."""
    folder = folder or f"orchestration/dlt/sources/{source}"
    lines = [f"\n# Source {source} ({folder}/client.py)."]
    lines += [f"# {name}={value}" for name, value in values.items()]
    return "\n".join(lines) + "\n"
