"""The founding document's client. Needs MY_API_URL and MY_API_KEY."""

import os

import requests


class MyAPI:
    def __init__(self):
        self.base_url = os.environ["MY_API_URL"]
        self.api_key = os.environ["MY_API_KEY"]
        self.session = requests.Session()
        self.session.headers["Authorization"] = f"Bearer {self.api_key}"

    def get(self, endpoint: str, params: dict | None = None) -> list:
        response = self.session.get(f"{self.base_url}/{endpoint}", params=params)
        response.raise_for_status()
        return response.json()["data"]
