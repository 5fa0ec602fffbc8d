"""What an error says of an answer that is not what was expected: names and kinds, but no values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from landing.errors import ApiError
from landing.http import Api, Csv, JsonLines, Retries, Session, TokenLogin
from landing.http.shapes import shape_of
from tests.kit import Kit, Zone
from tests.servers.scripted import serve

PERSON = {
    "id": 7,
    "email": "ann.example",
    "title": "Countess Ann",
    "description": "Ann, in person",
    "message": "Dear Ann",
    "note": None,
}


def error_of(body: Any, records: Any) -> str:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    with (
        serve(lambda exchange: exchange.reply(200, content)) as server,
        pytest.raises(ApiError) as caught,
    ):
        list(Api(server.url, retries=Retries(total=0)).pages("people", records=records))
    return str(caught.value)


@pytest.mark.parametrize(
    ("body", "records", "says"),
    [
        (
            {"people": [PERSON, PERSON], "total": 2},
            "data",
            "'people' (2 objects with 'id', 'email'",
        ),
        ({"data": {"people": [PERSON]}}, "data", "it is an object with 'data' (an object with"),
        ([PERSON], "data", "it is 1 object with 'id', 'email', 'title', 'description', 'message'"),
        (PERSON, "data", "'email' (text), 'title' (text)"),
        (
            {"ann@example.com": PERSON, "bob@example.com": PERSON},
            "data",
            "an object with 2 members",
        ),
        ({"data": ["ann", "bob"]}, "people", "'data' (an array of 2)"),
        ({"data": "ann"}, "data", "'data' (text)"),
        ("ann", "data", "it is text"),
        ([PERSON], Csv(), "JSON where CSV is expected: 1 object with 'id', 'email'"),
        (
            b'{"id": 1, "name": "Ann"}\n{"id": 2, "name": "Ann"',
            JsonLines(),
            "no JSON object in each",
        ),
        (b"1,Ann,ann@example.com\n2,Bob\n", Csv(), "a line of 2 values under 3 names"),
    ],
)
def test_a_wrong_place_of_the_records_shows_none_of_them(
    body: Any, records: Any, says: str
) -> None:
    message = error_of(body, records)
    assert says in message
    assert "Ann" not in message
    assert "ann" not in message


@pytest.mark.parametrize(
    "body",
    [
        {"error": "missing_scope"},
        {"errors": [{"detail": "missing_scope"}]},
        {"message": "missing_scope"},
        {"ok": False, "fault": {"faultstring": "missing_scope"}},
    ],
)
def test_what_an_api_says_of_a_failure_is_shown(body: Any) -> None:
    assert "it says: missing_scope" in error_of(body, "data")


def test_a_record_of_other_fields_is_named_by_them(
    kit: Kit, folder_zone: Zone, monkeypatch: pytest.MonkeyPatch
) -> None:
    streams = """\
import os

import dlt

from landing.http import Api, Retries


@dlt.resource(primary_key="number")
def people():
    yield from Api(os.environ["SHOP_URL"]).pages("people", records="data")
"""
    kit.add_source("shop", streams)
    kit.configure("shop", "people", fields={"number": {"type": "integer"}})
    people = {"data": [{"number": 1}, PERSON, {"number": 2}]}
    with serve(lambda exchange: exchange.reply(200, json.dumps(people).encode())) as server:
        monkeypatch.setenv("SHOP_URL", server.url)
        done = kit.run("shop", "people")
    assert done.code == 1
    assert "one of its records has none of the fields of" in done.err
    assert "description, email, id, message, note, title. Nothing more" in done.err
    assert "Ann" not in done.err


@pytest.mark.parametrize(
    ("answer", "token", "says"),
    [
        ({"token": {"value": "v3ry-s3cret", "ttl": 60}}, "token", "an object with 'value' (text)"),
        ({"token": ["v3ry-s3cret"]}, "token", "at 'token', but an array of 1"),
        ({"token": True}, "token", "at 'token', but a boolean"),
        ({"token": "Hello v3ry-s3cret"}, "token", "at 'token': the text there is none"),
        (
            {"jwt": "v3ry-s3cret"},
            "data.token",
            "at 'data.token': it is an object with 'jwt' (text)",
        ),
        ({"data": {"jwt": "v3ry-s3cret"}}, "token", "'data' (an object with 'jwt')"),
        ({"token": ""}, "token", "has no token at 'token'"),
        ("<p>v3ry-s3cret</p>", "", "as its body: the text there is none"),
    ],
)
def test_a_token_s_place_that_has_another_value_is_named(
    answer: Any, token: str, says: str
) -> None:
    with serve(lambda exchange: exchange.reply(200, json.dumps(answer).encode())) as server:
        login = TokenLogin(f"{server.url}/login", json={"user": "ann"}, token=token)
        with pytest.raises(ApiError) as caught:
            Session(auth=login).get(server.url)
    assert says in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_shape_is_short_however_much_there_is() -> None:
    many = {f"field{number}": number for number in range(500)}
    assert shape_of(many).endswith("'field11' (an integer), 488 more")
    assert len(shape_of({"rows": [many] * 5})) < 300
    assert shape_of({}) == "an empty object"
    assert shape_of(None) == "null"
    assert shape_of({"a": None, "b": []}) == "an object with 'a' (null), 'b' (an array of 0)"
