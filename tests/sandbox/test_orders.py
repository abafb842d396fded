from datetime import datetime, timedelta, timezone
from decimal import Decimal
from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from smsc_async._model.text import parts
from smsc_async.sandbox._accounts import Account
from smsc_async.sandbox._channels import ServiceChannel
from smsc_async.sandbox._delivery import MAGIC_NUMBERS, MagicNumber
from smsc_async.sandbox._fields import ServiceError, Value
from smsc_async.sandbox._orders import FORBIDDEN_WORD, Order

MOSCOW = timezone(timedelta(hours=3))
NOW = datetime(2026, 3, 10, 12, 30, tzinfo=MOSCOW).timestamp()
ACCOUNT = Account(
    login="a",
    password="b",
    prices={"7": Decimal("4.5"), "49": Decimal(9), "ivan": Decimal(1)},
    groups={1: ("79991234501", "79991234502")},
)
PHONE = "79991234567"


def read(fields: dict[str, Value] | None = None, /, *, account: Account = ACCOUNT, **more: Value) -> Order:
    return Order.read({"phones": PHONE, "mes": "hi", **(fields or {}), **more}, account, now=NOW)


def read_list(text: str, query: str = "", **more: Value) -> Order:
    return read({"phones": "", "mes": "", "query": f"list={quote(text, safe='')}&{query}", **more})


def refusal(fields: dict[str, Value] | None = None, /, **more: Value) -> int:
    with pytest.raises(ServiceError) as caught:
        read((fields or {}) | more)
    return caught.value.code


def test_order_has_one_draft_for_each_recipient() -> None:
    order = read(phones=f"+{PHONE};4915112345678,G1", id="my-id", sender="ivan")
    assert order.id == "my-id"
    assert [(draft.phone, draft.cost) for draft in order.drafts] == [
        (PHONE, Decimal("4.5")),
        ("4915112345678", Decimal(9)),
        ("79991234501", Decimal("4.5")),
        ("79991234502", Decimal("4.5")),
    ]
    assert {(draft.text, draft.sender, draft.parts, draft.send_at, draft.refusal) for draft in order.drafts} == {
        ("hi", "ivan", 1, NOW, 0)
    }


def test_price_counts_each_part() -> None:
    (draft,) = read(mes="я" * 71).drafts
    assert (draft.parts, draft.cost) == (2, Decimal(9))


@pytest.mark.parametrize("id_", ["1", "2147483647", "2147483648", "9" * 40, "a" * 40, "Az09._-", "0", "", None])
def test_id_is_a_number_or_a_short_word(id_: str | None) -> None:
    assert read(id=id_).id == (id_ if id_ and id_ != "0" else "")


@pytest.mark.parametrize("id_", ["a" * 41, "a b", "ключ", "a:b", ["1", "2"]])
def test_other_id_is_a_bad_parameter(id_: Value) -> None:
    assert refusal(id=id_) == 1


@pytest.mark.parametrize(
    "fields", [{"phones": ""}, {"phones": ", ;"}, {"mes": ""}, {"mes": None}, {"mes": "a" * 1001}, {"mes": {"a": "b"}}]
)
def test_missing_or_oversized_field_is_a_bad_parameter(fields: dict[str, Value]) -> None:
    assert refusal(fields) == 1


def test_text_of_a_thousand_characters_passes() -> None:
    assert read(mes="😀" * 1000).drafts[0].parts == parts("😀" * 1000).count


@pytest.mark.parametrize("query", ["hlr=1", "ping=1"])
def test_channel_without_text_needs_and_keeps_none(query: str) -> None:
    for mes in ("", "ignored", "a" * 1001):
        (draft,) = read(mes=mes, query=query).drafts
        assert (draft.text, draft.parts, draft.refusal) == ("", 1, 0)


def test_query_chooses_the_channel() -> None:
    order = read(phones="@olga,ivan", query="tg=1&err=1")
    assert order.options.channel is ServiceChannel.TELEGRAM
    assert [(draft.phone, draft.refusal) for draft in order.drafts] == [("@olga", 8), ("ivan", 0)]


def test_wrong_number_is_refused_with_7_and_one_without_a_price_with_8() -> None:
    assert [draft.refusal for draft in read(phones=f"123,33612345678,{PHONE}").drafts] == [7, 8, 0]


@pytest.mark.parametrize("number", [number for number in MAGIC_NUMBERS.values() if number.refusal])
def test_magic_number_is_refused_with_its_code(number: MagicNumber) -> None:
    if number.refusal in {1, 2, 4, 5}:  # these are about the whole request
        with pytest.raises(ServiceError, match=f"error {number.refusal}"):
            read(phones=f"{PHONE},{number.phone}")
        return
    assert [draft.refusal for draft in read(phones=f"{number.phone},{PHONE}").drafts] == [number.refusal, 0]


def test_text_with_the_forbidden_word_is_refused_with_6() -> None:
    assert [draft.refusal for draft in read(mes=f"a {FORBIDDEN_WORD} b", phones=f"{PHONE},12").drafts] == [6, 7]


@pytest.mark.parametrize("sender", ["ivan & Co.", "a" * 11, "1" * 15, "", None])
def test_sender_is_a_short_name_or_a_number(sender: str | None) -> None:
    (draft,) = read(sender=sender).drafts
    assert (draft.sender, draft.refusal) == (sender or "SMSC", 0)


@pytest.mark.parametrize("sender", ["a" * 12, "1" * 16, "Иван", "a\nb"])
def test_other_sender_is_refused_with_6(sender: str) -> None:
    assert read(sender=sender).drafts[0].refusal == 6


def test_sender_of_a_mail_is_an_address() -> None:
    account = Account(login="a", password="b")
    asked: dict[str, Value] = {"phones": "a@b.c", "query": "mail=1&subj=s"}
    assert read(asked, sender="long.address@example.com", account=account).drafts[0].refusal == 0
    assert read(asked, sender="ivan", account=account).drafts[0].refusal == 6


def test_cost_request_names_the_sender_in_its_query() -> None:
    assert read(query="sender=ivan&time=bad", time="0").drafts[0].sender == "ivan"
    assert refusal(query="time=bad") == 5


def test_links_are_shortened_on_request_and_each_always_to_the_same() -> None:
    text = "see https://example.com/a/very/long/path?with=arguments and http://b.example/"
    assert read(mes=text).drafts[0].text == text
    shortened = read(mes=text, query="tinyurl=1").drafts[0].text
    assert shortened == read(mes=text, query="tinyurl=1").drafts[0].text
    first, second = (word for word in shortened.split() if "://" in word)
    assert shortened == f"see {first} and {second}"
    assert first != second
    assert len(first) < len("https://example.com/a/very/long/path?with=arguments")


@given(st.lists(st.sampled_from(["a" * 100, "€" * 31, "b", "я" * 40, "😀" * 17]), min_size=1), st.integers(1, 5))
@example(["a" * 1000], 3)
@example(["a" * 161], 1)
def test_maxsms_keeps_the_longest_beginning_that_fits(pieces: list[str], most: int) -> None:
    text = "".join(pieces)[:1000]
    (draft,) = read(mes=text, query=f"maxsms={most}").drafts
    assert draft.parts == parts(draft.text).count <= most
    assert text.startswith(draft.text)
    assert draft.text == text or parts(text[: len(draft.text) + 1]).count > most


def test_time_counts_in_the_zone_of_the_account_or_of_tz() -> None:
    def hour(account: Account, query: str = "") -> int:
        (draft,) = read(account=account, time="11.03.26 15:00", query=query).drafts
        return datetime.fromtimestamp(draft.send_at, MOSCOW).hour

    east = Account(login="a", password="b", zone=4)
    assert [hour(ACCOUNT), hour(east), hour(east, "tz=0"), hour(ACCOUNT, "tz=-1")] == [15, 11, 15, 16]


def test_bad_time_is_error_5() -> None:
    assert refusal(time="tomorrow") == 5


def test_period_and_freq_spread_the_recipients() -> None:
    phones = ",".join(f"7999123450{digit}" for digit in range(6))
    moments = [draft.send_at for draft in read(phones=phones, query="period=1&freq=20", time="+10").drafts]
    assert moments == [NOW + 600, NOW + 600, NOW + 1800, NOW + 1800, NOW + 3000, NOW + 3000]


def test_list_gives_each_line_its_text_sender_and_zone() -> None:
    order = read_list(f"{PHONE}:Hi\\nyou\nolga,2|79991234568,G1:bye", sender="ivan", time="1103261500", id="one")
    assert [
        (draft.line, draft.phone, draft.text, draft.sender, datetime.fromtimestamp(draft.send_at, MOSCOW).hour)
        for draft in order.drafts
    ] == [
        (0, PHONE, "Hi\nyou", "ivan", 15),
        (1, "79991234568", "bye", "olga", 13),
        (1, "79991234501", "bye", "olga", 13),
        (1, "79991234502", "bye", "olga", 13),
    ]


def test_list_spreads_over_all_its_lines() -> None:
    order = read_list("79991234501:a\n79991234502:b\n79991234503:c", "period=1&freq=20")
    assert [draft.send_at - NOW for draft in order.drafts] == [0, 1200, 2400]


def test_one_bad_line_does_not_refuse_the_others() -> None:
    order = read_list(f"12:a\n{PHONE}:{FORBIDDEN_WORD}\n79991234568:c")
    assert [draft.refusal for draft in order.drafts] == [7, 6, 0]


@pytest.mark.parametrize("text", ["no separator", f"{PHONE}:", f"{PHONE}:{'a' * 1001}", f"a,b|{PHONE}:hi", ",:hi"])
def test_malformed_list_is_a_bad_parameter(text: str) -> None:
    with pytest.raises(ServiceError, match="error 1"):
        read_list(text)


def test_list_for_a_channel_without_text_is_phones() -> None:
    assert [draft.phone for draft in read_list("79991234501\n79991234502:", "hlr=1").drafts] == [
        "79991234501",
        "79991234502",
    ]


def test_nl_lets_a_line_continue_the_message() -> None:
    assert read_list(f"{PHONE}:a\nb", "nl=1").drafts[0].text == "a\nb"


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "other"},
        {"phones": f"+{PHONE}"},
        {"phones": f"8{PHONE[1:]}, {PHONE}"},
        {"time": "0"},
        {"time": ""},
        {"query": ""},
        {"query": "err="},
        {"sender": None},
    ],
)
def test_identical_requests_differ_in_the_id_and_in_spelling_alone(fields: dict[str, Value]) -> None:
    assert read(fields).identity == read().identity


@pytest.mark.parametrize(
    "fields",
    [
        {"phones": "79991234568"},
        {"phones": f"{PHONE},79991234568"},
        {"mes": "Hi"},
        {"sender": "ivan"},
        {"time": "+1"},
        {"query": "viber=1"},
        {"query": "unknown=1"},
    ],
)
def test_any_other_difference_makes_another_request(fields: dict[str, Value]) -> None:
    assert read(fields).identity != read().identity


def test_identical_lists_may_differ_in_order_and_spelling() -> None:
    one = read_list("79991234501:a\n79991234502,79991234503:b", id="1")
    same = read_list("+79991234503,89991234502;b\n79991234501:a\n", id="2")
    other = read_list("79991234501:a\n79991234502,79991234503:c", id="1")
    assert one.identity == same.identity != other.identity


def test_only_cost_1_is_a_quote() -> None:
    assert [read(query=f"cost={cost}").is_quote for cost in range(4)] == [False, True, False, False]


def test_draft_keeps_its_first_refusal() -> None:
    good, bad = read(phones=f"{PHONE},12").drafts
    assert (good.refused(9).refusal, bad.refused(9).refusal) == (9, 7)
