"""The limits and blocks of the emulated service, and its repeatability."""

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsc_async.sandbox._accounts import Account
from smsc_async.sandbox._delivery import MAGIC_NUMBERS
from smsc_async.sandbox._fields import Value
from smsc_async.sandbox._limits import Block, Limits, Streak, Window
from smsc_async.sandbox._orders import FORBIDDEN_WORD
from smsc_async.sandbox._service import METHODS, Service
from tests.sandbox.caller import NOW, PHONE, SEND, Caller, caller


def test_identical_send_is_refused_for_a_minute() -> None:
    demo = caller(limits=Limits())
    demo.send(id="a")
    assert demo.send(id="b", phones=f"+{PHONE}") == {"error": "9"}
    assert "error" not in demo.send(id="a", mes="other")
    demo.now = NOW + 61
    assert "error" not in demo.send(id="c")


def test_send_that_was_refused_counts_as_well() -> None:
    demo = caller(limits=Limits())
    assert demo.send(phones="12")["error"] == "7"
    assert demo.send(phones="12") == {"error": "9"}


def test_identical_cost_is_refused_the_sixth_time() -> None:
    demo = caller(limits=Limits())
    assert ["error" in demo.cost() for _ in range(6)] == [False] * 5 + [True]
    assert "error" not in demo.cost(mes="other")


def test_status_of_one_message_is_refused_the_sixth_time_even_if_unknown() -> None:
    demo = caller(limits=Limits())
    spellings = [PHONE, f"+{PHONE}", f"8{PHONE[1:]}"] * 2
    assert [demo.status(phone, "x")["error"] for phone in spellings] == ["3"] * 5 + ["9"]
    assert demo.status(PHONE, "y") == {"error": "3"}
    demo.now = NOW + 66
    assert demo.ask("get_status2", phone=PHONE, id="x").error == 3


def test_balance_is_refused_the_eleventh_time() -> None:
    demo = caller(limits=Limits())
    assert [demo.ask("get_balance").error for _ in range(11)] == [0] * 10 + [9]


def test_windows_of_two_accounts_are_apart() -> None:
    accounts = [Account.demo(), Account(login="other", password="other", prices={"": Decimal(1)})]
    service = Service(accounts=accounts)
    for one in (Caller(service), Caller(service, login="other", psw="other")):
        assert "error" not in one.send()
        assert "error" not in one.cost()


def test_subscriber_is_flooded_until_a_quiet_gap() -> None:
    demo = caller(limits=Limits(subscriber=Streak(3, 120)))
    assert ["error" in demo.send(mes=str(number)) for number in range(5)] == [False] * 3 + [True] * 2
    demo.now += 118
    assert demo.send(mes="later") == {"error": "9"}
    demo.now += 120
    assert "error" not in demo.send(mes="much later")


def test_flooded_subscriber_does_not_hold_up_the_others() -> None:
    demo = caller(limits=Limits(subscriber=Streak(2, 120)))
    for number in range(2):
        demo.send(mes=str(number))
    assert demo.errors(phones=f"{PHONE},79991234568") == [(PHONE, "9")]
    assert demo.service.messages[-1].phone == "79991234568"
    assert demo.send("err=1") == {"error": "9", "errors": [{"phone": PHONE, "status": "9"}]}


def test_lines_of_a_list_count_towards_the_flood_and_quotes_do_not() -> None:
    demo = caller(limits=Limits(subscriber=Streak(3, 120)))
    demo.send("cost=1")
    demo.send_list([f"{PHONE}:a", f"+{PHONE}:b", f"{PHONE}:c", f"{PHONE}:d"])
    assert [message.text for message in demo.service.messages] == ["a", "b", "c"]


def test_fifteenth_request_at_once_is_refused() -> None:
    service = Service()
    credentials: dict[str, Value] = {"login": "demo", "psw": "demo"}
    answers = [
        service.arrive("get_sms_cost", credentials | SEND | {"mes": str(number)}, now=NOW) for number in range(15)
    ]
    assert [answer.error for answer in answers] == [0] * 14 + [9]
    assert service.in_flight == 15
    for answer in answers[:2]:
        service.leave(answer)
    assert service.arrive("send_sms", credentials | SEND, now=NOW).error == 0
    assert service.arrive("get_balance", credentials, now=NOW).error == 9


def test_fifth_status_request_at_once_is_refused() -> None:
    service = Service()
    credentials: dict[str, Value] = {"apikey": "demo"}
    answers = [
        service.arrive("get_status", credentials | {"phone": PHONE, "id": str(number)}, now=NOW) for number in range(5)
    ]
    assert [answer.error for answer in answers] == [3, 3, 3, 3, 9]
    assert service.arrive("get_balance", credentials, now=NOW).error == 0


def test_crowded_out_send_sends_nothing_and_still_counts() -> None:
    service = Service(limits=Limits(in_flight=1))
    fields: dict[str, Value] = {"login": "demo", "psw": "demo"}
    first = service.arrive("get_balance", fields, now=NOW)
    second = service.arrive("send_sms", fields | SEND, now=NOW)
    service.leave(first)
    service.leave(second)
    assert second.error == service.arrive("send_sms", fields | SEND, now=NOW + 1).error == 9
    assert service.messages == ()


def test_stranger_holds_no_slot() -> None:
    service = Service()
    service.leave(service.arrive("get_balance", {"login": "demo", "psw": "wrong"}, now=NOW))
    assert service.in_flight == 0


def test_five_wrong_passwords_block_the_address_for_half_an_hour() -> None:
    service = Service()
    wrong, right = Caller(service, login="demo", psw="wrong"), Caller(service)
    assert [wrong.ask("get_balance").error for _ in range(6)] == [2] * 5 + [4]
    right.now = wrong.now
    assert right.send() == {"error": "4"}
    right.source = "10.0.0.1"
    assert "error" not in right.send()
    right.source, right.now = wrong.source, NOW + 4 + 1800
    assert "error" not in right.send(mes="later")


def test_missing_password_is_no_failed_attempt() -> None:
    service = Service(limits=Limits(login_failures=Block(1, 60, 60)))
    assert [Caller(service, login="demo").ask("get_balance").error for _ in range(5)] == [1] * 5


@pytest.mark.parametrize("fields", [{"phones": "12"}, {"phones": "79000009008"}, {"mes": FORBIDDEN_WORD}])
def test_hundred_bad_sends_block_the_address_for_ten_minutes(fields: dict[str, Value]) -> None:
    demo = caller(limits=Limits(identical_send=None, subscriber=None))
    assert {demo.ask("send_sms", **(SEND | fields)).error for _ in range(100)} <= {6, 7, 8}
    assert demo.ask("get_balance").error == 4
    demo.now = NOW + 99 + 600
    assert demo.ask("get_balance").error == 0


def test_each_bad_line_of_a_list_is_a_bad_send() -> None:
    demo = caller(limits=Limits(bad_sends=Block(5, 600, 600)))
    demo.send_list(["12:a", "13:b"])
    demo.send_list([f"{PHONE}:good", "14:a", "15:b", "16:c", "17:d"])
    assert demo.ask("get_balance").error == 0
    demo.send_list(["18:last", f"{PHONE}:too late to matter"])
    assert demo.ask("get_balance").error == 4


def test_request_with_one_good_recipient_is_no_bad_send() -> None:
    demo = caller(limits=Limits(bad_sends=Block(2, 600, 600)))
    for number in range(5):
        demo.send(phones=f"12,{PHONE}", mes=str(number))
    assert demo.ask("get_balance").error == 0


def test_lack_of_money_is_neither_a_bad_send_nor_a_good_one() -> None:
    account = Account(login="demo", password="demo", balance=Decimal(0))
    demo = caller(account=account, limits=Limits(bad_sends=Block(2, 600, 600)))
    demo.send(phones="12")
    assert demo.send()["error"] == demo.send(phones="79000009003")["error"] == "3"
    assert demo.ask("get_balance").error == 0
    demo.send(phones="13")
    assert demo.ask("get_balance").error == 4


def test_without_limits_nothing_is_refused_for_being_too_much() -> None:
    demo = caller()
    wrong = Caller(demo.service, apikey="wrong")
    assert {wrong.ask("get_balance").error for _ in range(50)} == {2}
    assert all("error" not in demo.send() for _ in range(100))
    assert {demo.ask("get_balance").error for _ in range(100)} == {0}
    assert {demo.send(phones="12")["error"] for _ in range(200)} == {"7"}


def test_numbers_of_a_limit_can_be_set() -> None:
    demo = caller(limits=Limits(status=Window(2, 2), identical_send=Window(2, 60)))
    assert [demo.status(PHONE, "x")["error"] for _ in range(4)] == ["3"] * 4
    demo.now = NOW
    assert ["error" in demo.send() for _ in range(3)] == [False, False, True]


# Determinism
def script(service: Service) -> list[dict[str, Value]]:
    demo = Caller(service)
    for number in range(50):
        demo.send("viber=1", phones=f"7999123{number:04}", mes=str(number), id=str(number))
    demo.now += 3600
    return [demo.status(f"7999123{number:04}", str(number), all="2") for number in range(50)]


def test_same_seed_and_calls_give_the_same_answers() -> None:
    assert script(Service(seed=5)) == script(Service(seed=5)) != script(Service(seed=6))


@settings(max_examples=50, deadline=None)
@given(st.randoms(use_true_random=True))
def test_money_taken_is_the_cost_of_what_was_accepted(dice: random.Random) -> None:
    demo = caller(account=Account(login="demo", password="demo", balance=Decimal(100)), limits=Limits())
    pool = [PHONE, "79991234568", "4915112345678", "12", *MAGIC_NUMBERS]
    for _ in range(40):
        lines = [f"{dice.choice(pool)}:{'a' * dice.randint(1, 400)}" for _ in range(dice.randint(1, 4))]
        answer = demo.send_list(lines, "err=1")
        demo.now += dice.choice([0, 10, 300])
        assert ("error" in answer) is not ("cost" in answer)
    spent = sum((message.cost for message in demo.service.messages), Decimal())
    assert demo.service.balances["demo"] == 100 - spent >= 0


@given(
    st.sampled_from(sorted(METHODS)),
    st.dictionaries(
        st.sampled_from(["phones", "mes", "id", "sender", "time", "query", "phone", "all"]),
        st.one_of(st.none(), st.text(), st.just(PHONE), st.lists(st.text()), st.dictionaries(st.text(), st.text())),
    ),
)
def test_any_request_is_answered_or_refused(method: str, fields: dict[str, Value]) -> None:
    answer = caller().ask(method, **fields)
    assert str(answer.error or "") == answer.fields.get("error", "")
