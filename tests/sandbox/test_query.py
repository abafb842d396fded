from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc_async.sandbox._channels import ServiceChannel
from smsc_async.sandbox._fields import ServiceError
from smsc_async.sandbox._query import ListLine, Options, decode_query, read_list, read_tz


def test_query_is_decoded_as_php_does() -> None:
    assert decode_query("a=1+2&b=%2B3%0A&a=4&c&d=&%D1%8F=%F0%9F%98%80") == {
        "a": "4",
        "b": "+3\n",
        "c": "",
        "d": "",
        "я": "😀",
    }
    assert decode_query("") == {}


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_percent_encoded_parameters_arrive_exactly(params: dict[str, str]) -> None:
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in params.items())
    assert decode_query(query) == params


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("7999:hi", [ListLine("7999", "hi")]),
        ("7999;hi", [ListLine("7999", "hi")]),
        ("7999:a:b;c|d", [ListLine("7999", "a:b;c|d")]),
        ("1,2:both\n3:one\n", [ListLine("1,2", "both"), ListLine("3", "one")]),
        ("1:a\r\n\r\n2:b", [ListLine("1", "a"), ListLine("2", "b")]),
        (r"1:a\nb\n", [ListLine("1", "a\nb\n")]),
        ("ivan,3|1:hi", [ListLine("1", "hi", "ivan", "3")]),
        ("ivan|1:hi", [ListLine("1", "hi", "ivan")]),
        (",-2|1:hi", [ListLine("1", "hi", "", "-2")]),
        ("|1:hi", [ListLine("1", "hi")]),
        ("1:", [ListLine("1", "")]),
    ],
)
def test_list_has_one_message_a_line(text: str, lines: list[ListLine]) -> None:
    assert read_list(text) == tuple(lines)


@pytest.mark.parametrize("text", ["", "\n", "7999", ":hi", " :hi", "1:a\nrest", "a|b|1:hi"])
def test_list_of_another_shape_is_a_bad_parameter(text: str) -> None:
    with pytest.raises(ServiceError, match="error 1"):
        read_list(text)


def test_nl_lets_a_message_have_lines_of_its_own() -> None:
    assert read_list("1:a\nmore\n\n2:b", multiline=True) == (ListLine("1", "a\nmore\n"), ListLine("2", "b"))
    with pytest.raises(ServiceError, match="error 1"):
        read_list("more\n1:a", multiline=True)


def test_channel_without_text_takes_lines_of_phones_alone() -> None:
    assert read_list("1,2\n3:", bare=True) == (ListLine("1,2", ""), ListLine("3", ""))


@given(st.text(), st.booleans(), st.booleans())
def test_any_list_is_read_or_refused(text: str, multiline: bool, bare: bool) -> None:
    try:
        code = 0 if read_list(text, multiline=multiline, bare=bare) else -1
    except ServiceError as refusal:
        code = refusal.code
    assert code in {0, 1}


@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[0-9]{1,15}", fullmatch=True),
            st.text().filter(lambda text: "\\" not in text and not text.endswith("\r")),
        ),
        min_size=1,
    )
)
def test_personal_messages_arrive_exactly(messages: list[tuple[str, str]]) -> None:
    text = "\n".join(f"{phone}:{mes.replace(chr(10), chr(92) + 'n')}" for phone, mes in messages)
    assert [(line.phones, line.text) for line in read_list(text)] == messages


def test_no_parameters_are_the_defaults() -> None:
    assert Options.read({}) == Options(
        channel=ServiceChannel.SMS,
        tz=None,
        step=0,
        groups=1,
        max_parts=None,
        shorten=False,
        cost=0,
        lists_errors=False,
        lists_phones=False,
        validity=86_400,
    )


def test_every_parameter_is_read() -> None:
    params = decode_query(
        "tz=-1.5&period=2&freq=30&maxsms=2&tinyurl=1&cost=3&err=1&op=1&valid=01:30&viber=1&smsreq=10&pp=1"
    )
    assert Options.read(params) == Options(
        channel=ServiceChannel.VIBER,
        tz=-1.5,
        step=1800,
        groups=4,
        max_parts=2,
        shorten=True,
        cost=3,
        lists_errors=True,
        lists_phones=True,
        validity=5400,
    )


@pytest.mark.parametrize("query", ["period=1", "freq=10"])
def test_period_and_freq_have_no_effect_alone(query: str) -> None:
    options = Options.read(decode_query(query))
    assert (options.step, options.groups) == (0, 1)


def test_period_shorter_than_freq_is_one_group() -> None:
    assert Options.read({"period": "0.1", "freq": "60"}).groups == 1


@pytest.mark.parametrize(
    ("valid", "seconds"), [("1", 3600), ("24", 86_400), ("00:01", 60), ("24:00", 86_400), ("9:30", 34_200)]
)
def test_validity_is_in_hours_or_hours_and_minutes(valid: str, seconds: float) -> None:
    assert Options.read({"valid": valid}).validity == seconds


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("tz", ["-15.25", "13", "x", "1e0", "nan"]),
        ("period", ["0", "720.1", "-1"]),
        ("freq", ["0", "1441"]),
        ("smsreq", ["9", "1000", "10.5"]),
        ("maxsms", ["0", "1.5", "-1"]),
        ("tinyurl", ["2", "yes"]),
        ("cost", ["4", "-1"]),
        ("err", ["2"]),
        ("valid", ["0", "25", "00:00", "24:01", "10:60", "x"]),
    ],
)
def test_parameter_out_of_its_range_is_refused(name: str, values: list[str]) -> None:
    for value in values:
        with pytest.raises(ServiceError, match="error 1"):
            Options.read({name: value})


def test_time_zone_of_a_line_is_read_as_tz() -> None:
    assert (read_tz(""), read_tz("0"), read_tz("-15"), read_tz("5.75")) == (None, 0, -15, 5.75)
