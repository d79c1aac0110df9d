from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grpctracing.api import seconds


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("500ms", 0.5),
        ("1s", 1.0),
        ("5m", 300.0),
        ("1h", 3600.0),
        ("1m30s", 90.0),
        ("0.5s", 0.5),
        ("1h0m0.25s", 3600.25),
    ],
)
def test_duration_in_seconds(text, want):
    assert seconds(text) == pytest.approx(want)


@pytest.mark.parametrize("text", ["", "1", "s", "1d", "-1s", " 1s", "1 s", "1s ", "1,5s", "Off", "1s\n", "٣s"])
def test_anything_else_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match=r'write e\.g\. "500ms", "1s" or "5m"'):
        seconds(text)


@given(st.integers(0, 10_000), st.integers(0, 59), st.integers(0, 59), st.integers(0, 999))
def test_parts_add_up(hours, minutes, secs, milliseconds):
    text = f"{hours}h{minutes}m{secs}s{milliseconds}ms"
    assert seconds(text) == pytest.approx(hours * 3600 + minutes * 60 + secs + milliseconds / 1000)
