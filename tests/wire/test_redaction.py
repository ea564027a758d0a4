"""Excerpts: short, printable, and without secrets."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.errors import EXCERPT_CHARS
from polymarket_ws.wire.redaction import redact


@pytest.mark.parametrize(
    "name",
    ["apiKey", "api_key", "apikey", "secret", "passphrase", "key", "owner", "trade_owner", "KEY"],
)
def test_secret_names(name: str) -> None:
    """The value of each of these names is masked, its neighbours are not."""
    assert f'{{"{name}":"***","a":"b"}}' == redact(
        f'{{"{name}": "s3cret" ,"a":"b"}}'.replace(" ,", ",")
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"secret":"a\\"b","x":1}', '{"secret":"***","x":1}'),
        ('{"secret":12345}', '{"secret":"***"}'),
        ('{"secret":"cut of', '{"secret":"***"'),
        ('{"secret":"cut of\\', '{"secret":"***"'),
        ("{'secret':'s3cret','x':1}", "{'secret':'***','x':1}"),
        ('"{\\"secret\\":\\"s3cret\\",\\"x\\":1}"', '"{\\"secret\\":\\"***\\"'),
        ('{"secret":["s3cret", {"a":"s3cret"}],"x":1}', '{"secret":"***"'),
        ('{"key":{"deep":"s3cret"}}', '{"key":"***"'),
        ('{"monkey":"bananas"}', '{"monkey":"bananas"}'),
        ('{"price":"0.5"}', '{"price":"0.5"}'),
    ],
)
def test_forms(text: str, expected: str) -> None:
    """Values are masked in any quoting, also when they are cut off or not strings."""
    masked = redact(text)
    assert "s3cret" not in masked
    assert expected == masked


def test_short_text_is_whole() -> None:
    """A text up to the bound is shown whole, a longer one ends in an ellipsis."""
    assert "x" * EXCERPT_CHARS == redact("x" * EXCERPT_CHARS)
    assert "x" * (EXCERPT_CHARS - 1) + "…" == redact("x" * (EXCERPT_CHARS + 1))


def test_masks_lengthen() -> None:
    """Masks that are longer than what they hide do not pass the bound."""
    text = '"key":1,' * 25
    assert EXCERPT_CHARS == len(text) == len(redact(text))


def test_half_a_pair() -> None:
    """Half a surrogate pair is shown as its escape, so that any log can write it."""
    assert "a\\ud800b" == redact("a\ud800b")


_secrets = st.text("<<<<\"'\\\n,}]é", min_size=1, max_size=300)


@given(_secrets, st.integers(0, 250), st.booleans())
def test_any_secret(secret: str, before: int, ensure_ascii: bool) -> None:
    """No character of a secret shows, wherever the text is cut."""
    message = {"pad": "x" * before, "auth": {"secret": secret, "apiKey": secret}}
    shown = redact(json.dumps(message, ensure_ascii=ensure_ascii))
    assert "<" not in shown
    assert len(shown) <= EXCERPT_CHARS
    shown.encode()
