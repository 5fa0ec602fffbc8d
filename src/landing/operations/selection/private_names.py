"""Fields that look as if they had personal data or secrets, by their names and values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from landing.catalog.fields import Field
from landing.secrets import is_secret_name

# fmt: off
_WORDS = frozenset({
    "email", "mail", "phone", "mobile", "fax", "telephone", "firstname", "lastname", "fullname",
    "surname", "nickname", "username", "birthday", "birthdate", "birthplace", "dob", "ssn",
    "passport", "iban", "nationality", "gender", "religion", "salary", "address", "street",
    "streetaddress", "postcode", "zip", "zipcode", "latitude", "longitude", "signature",
})
# fmt: on
_PAIRS = re.compile(
    r"(?:^|_)(?:(?:first|last|full|middle|family|given|maiden|user|display|contact|customer|"
    r"employee|person|patient|partner|billing|shipping)_name|(?:date_of_|place_of_)?birth(?:_date)?|"
    r"ip(?:_address)?|postal_code|(?:credit_|debit_)?card_number|account_number|tax_id|"
    r"social_security(?:_number)?|id_card|national_id)(?:_|$)"
)
_PEOPLE = re.compile(
    r"user|customer|contact|person|people|employee|patient|member|subscriber|author|agent"
)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}")
_SNAKE = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+")


def looks_private(stream: str, name: str, field: Field, values: Iterable[Any] = ()) -> bool:
    """Whether a field, or a part of it, may have personal data or a secret. A guess, which a person
    confirms."""
    words = [word for word in _SNAKE.sub("_", name).lower().split("_") if word]
    snake = "_".join(words)
    # Flags and counts, such as `email_verified` or `address_count`, say little about a person.
    if field.kinds and field.kinds <= {"boolean"}:
        return False
    return (
        field.format == "email"
        or is_secret_name(name)
        or not _WORDS.isdisjoint(words)
        or _PAIRS.search(snake) is not None
        or (snake == "name" and _PEOPLE.search(stream.lower()) is not None)
        or any(isinstance(value, str) and _EMAIL.fullmatch(value) for value in values)
        or any(looks_private(name, *member) for member in (field.properties or {}).items())
        or (field.items is not None and looks_private(stream, name, field.items))
    )
