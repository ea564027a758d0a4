"""HTML by parts: only what is known to be markup is not escaped."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from polymarket_ws.notebook.markup import MAX_CHARS, Markup, element, joined


def test_an_element_has_its_content_and_attributes() -> None:
    """Those that are given."""
    inner = element("b", 1, css="one two")

    assert '<b class="one two">1</b>' == inner
    assert '<td title="t" colspan="4"><b class="one two">1</b>&lt;x&gt;</td>' == element(
        "td", inner, "<x>", title="t", span=4
    )


@given(st.text())
def test_no_text_escapes(text: str) -> None:
    """Neither from content nor from an attribute; what no browser takes is written out."""
    shown = joined(text)

    assert isinstance(shown, Markup)
    assert not set("<>\"'\x00") & set(shown)
    assert shown.encode() or not text
    assert f'<i title="{shown}"></i>' == element("i", title=text) or not text


def test_a_lone_surrogate_is_written_out() -> None:
    """It could not be sent to a browser."""
    assert r"\ud800\x00" == joined("\ud800\x00")


def test_a_long_text_is_cut() -> None:
    """And its length told."""
    assert f"{'a' * MAX_CHARS}… (3000 characters)" == joined("a" * 3000)
