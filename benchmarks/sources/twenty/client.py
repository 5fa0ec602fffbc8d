"""The API with the client kit. Needs MY_API_URL and MY_API_KEY."""

import os

import requests

from landing.http import JsonPage


class MyAPI:
    def __init__(self) -> None:
        self.base_url = os.environ["MY_API_URL"]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {os.environ['MY_API_KEY']}"

    def page(self, limit: int, offset: int, since: str | None) -> JsonPage:
        params = {"limit": limit, "offset": offset, "since": since}
        response = self.session.get(f"{self.base_url}/bench", params=params)
        response.raise_for_status()
        return JsonPage(response.content, records="data")
