"""Moments: what is a time, what is said where it is none, and that writing and reading agree."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from ansible_collections.claudescale.core.plugins.module_utils import moments
from ansible_collections.claudescale.core.plugins.module_utils.errors import ClaudeScaleError
from hypothesis import given
from hypothesis import strategies as st

TIMES = [
    pytest.param("1970-01-01T00:00:00Z", 0.0, id="epoch"),
    pytest.param("2026-03-01T10:00:00Z", 1772359200.0, id="utc"),
    pytest.param("2026-03-01T10:00:00+02:00", 1772352000.0, id="east"),
    pytest.param("2026-03-01T10:00:00-00:30", 1772361000.0, id="west"),
    pytest.param("2026-03-01T10:00:00.5Z", 1772359200.5, id="tenths"),
    pytest.param("2026-03-01T10:00:00.250000000Z", 1772359200.25, id="nanoseconds"),
    pytest.param("2024-02-29T23:59:59Z", 1709251199.0, id="leap-day"),
    pytest.param("1969-12-31T23:59:59.75Z", -0.25, id="before-the-epoch"),
]

ZONE = "has no time zone: write it like 2026-03-01T10:00:00Z for UTC, or with an offset such as +02:00"
LIKE = "write it like 2026-03-01T10:00:00Z"
REFUSED = [
    pytest.param("2026-03-01T10:00:00", f"2026-03-01T10:00:00 {ZONE}", id="no-zone"),
    pytest.param("2026-03-01T10:00:00.5", f"2026-03-01T10:00:00.5 {ZONE}", id="no-zone-fraction"),
    pytest.param("2026-03-01 10:00", f"2026-03-01 10:00 {ZONE}", id="no-zone-short"),
    pytest.param("tomorrow", f"'tomorrow' is no time: {LIKE}", id="words"),
    pytest.param("", f"an empty text is no time: {LIKE}", id="empty"),
    pytest.param("2026-03-01", f"'2026-03-01' is no time: {LIKE}", id="date"),
    pytest.param("1772359200", f"'1772359200' is no time: {LIKE}", id="number"),
    pytest.param("2026-03-01t10:00:00z", f"'2026-03-01t10:00:00z' is no time: {LIKE}", id="lower-case"),
    pytest.param("2026-03-01T10:00:00Z\n", rf"'2026-03-01T10:00:00Z\n' is no time: {LIKE}", id="line-break"),
    pytest.param("2026-03-01T10:00:00+0200", f"'2026-03-01T10:00:00+0200' is no time: {LIKE}", id="offset-shape"),
    pytest.param("٢٠٢٦-03-01T10:00:00Z", f"'٢٠٢٦-03-01T10:00:00Z' is no time: {LIKE}", id="other-digits"),
    pytest.param("x" * 2**20, f"'{'x' * 49}…' is no time: {LIKE}", id="huge"),
    pytest.param(
        "2016-12-31T23:59:60Z",
        "2016-12-31T23:59:60Z is a leap second, which the cluster's clock does not have: name the next one",
        id="leap-second",
    ),
]
ABSENT = ["2026-02-29T10:00:00Z", "2026-13-01T10:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T10:61:00Z",
          "2026-03-01T10:00:61Z", "2026-03-01T10:00:00+24:00", "0000-01-01T00:00:00Z"]  # fmt: skip


@pytest.mark.parametrize(("written", "seconds"), TIMES)
def test_times(written: str, seconds: float) -> None:
    assert moments.parse(written) == seconds


@pytest.mark.parametrize(("written", "message"), REFUSED)
def test_refused(written: str, message: str) -> None:
    with pytest.raises(ClaudeScaleError) as refused:
        moments.parse(written)
    assert str(refused.value) == message


@pytest.mark.parametrize("written", ABSENT)
def test_times_that_do_not_exist(written: str) -> None:
    with pytest.raises(ClaudeScaleError) as refused:
        moments.parse(written)
    assert str(refused.value).startswith(f"{written} does not exist (")
    assert str(refused.value).endswith("): write a time like 2026-03-01T10:00:00Z")


def test_text() -> None:
    assert moments.text(1772359200) == "2026-03-01T10:00:00.000000Z"
    assert moments.text(1772359200.0000016) == "2026-03-01T10:00:00.000002Z"
    assert moments.text(datetime(1, 1, 1, tzinfo=UTC).timestamp()) == "0001-01-01T00:00:00.000000Z"


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), 1e18, -1e12])
def test_no_text(seconds: float) -> None:
    with pytest.raises(ClaudeScaleError, match="is no time that can be written"):
        moments.text(seconds)


@given(st.integers(min_value=0, max_value=2**33 * 10**6))  # beyond year 2242 a float holds no microseconds
def test_what_is_written_is_read_to_the_microsecond(microseconds: int) -> None:
    written = moments.text(microseconds / 10**6)
    assert moments.text(moments.parse(written)) == written
    assert round(moments.parse(written) * 10**6) == microseconds


@given(st.text())
def test_any_text_is_a_time_or_one_sentence(written: str) -> None:
    try:
        moments.parse(written)
    except ClaudeScaleError as error:
        assert "\n" not in str(error)
