import pytest

from mnesis.measure.lengths import format_length, parse_lengths


def test_thousands_and_millions():
    assert parse_lengths("1k,4k, 16k 64K,1M,10m") == [1_000, 4_000, 16_000, 64_000, 1_000_000, 10_000_000]


def test_sorted_and_each_once():
    assert parse_lengths("1.5k, 0, 512 1500,1_000") == [0, 512, 1000, 1500]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1k = 1000"),
        ("1k,four", "'four' is not a length"),
        ("-5", "'-5' is not a length"),
        ("1.0005k", "1000.5000 units, which is not whole"),
        ("1kk", "'1kk' is not a length"),
    ],
)
def test_errors_teach(text, message):
    with pytest.raises(ValueError, match=message):
        parse_lengths(text)


@pytest.mark.parametrize("length", [0, 1, 512, 1000, 1024, 1500, 16_000, 999_999, 1_000_000, 1_500_000, 123_456_700])
def test_the_short_form_reads_back(length):
    assert parse_lengths(format_length(length)) == [length]


def test_short_forms():
    assert [format_length(n) for n in (512, 1000, 1500, 1024, 10**6, 10**7)] == [
        "512",
        "1k",
        "1.5k",
        "1024",
        "1M",
        "10M",
    ]
