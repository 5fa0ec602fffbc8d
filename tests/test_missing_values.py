"""A value that is not there is no null, where a client says which answers are failures."""

from __future__ import annotations

from typing import Any

import pytest
import requests

from landing.http import FailedAnswer, FailsIf, Retries, Session
from tests.servers.scripted import serve
from tests.test_failed_answers import answers


@pytest.mark.parametrize(
    ("body", "is_failure"),
    [
        ({"result": None}, True),
        ({"result": [], "id": 1}, False),
        ({"other": 1}, False),
        (b'{"other": NaN}', False),
        (b'{"result": null, "other": NaN}', True),
        ([], False),
    ],
)
def test_only_a_null_that_is_there_equals_none(body: Any, is_failure: bool) -> None:
    with serve(answers(body)) as server:
        session = Session(fails_if=FailsIf("result", equals=None), retries=Retries(total=0))
        if is_failure:
            with pytest.raises(FailedAnswer):
                session.get(server.url)
        else:
            assert session.get(server.url).status_code == 200


@pytest.mark.parametrize(("body", "requests_made"), [({"error": 1}, 1), ({"code": None}, 3)])
def test_only_a_null_that_is_there_is_tried_again(body: Any, requests_made: int) -> None:
    fails_if = FailsIf("ok", unless=True, code="code", retry=(None,))
    with serve(answers(body)) as server:
        session = Session(fails_if=fails_if, retries=Retries(total=2, base=0.01))
        with pytest.raises(requests.RequestException):
            session.get(server.url)
        assert len(server.seen) == requests_made
