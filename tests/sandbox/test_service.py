import random
from collections.abc import Iterable
from decimal import Decimal
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from smsc_async.sandbox._accounts import Account
from smsc_async.sandbox._delivery import MAGIC_NUMBERS, DeliveryPlan, MagicNumber, Share
from smsc_async.sandbox._fields import Answer, Value
from smsc_async.sandbox._limits import Block, Limits, Streak, Window
from smsc_async.sandbox._orders import FORBIDDEN_WORD
from smsc_async.sandbox._service import METHODS, Service

NOW = 1_700_000_000.0
PHONE = "79991234567"
SEND: dict[str, Value] = {"phones": PHONE, "mes": "hi"}


class Caller:
    """Somebody whose requests leave as soon as they are answered; each comes a second after the last."""

    def __init__(self, service: Service, **credentials: Value) -> None:
        self.service = service
        self.now = NOW
        self.source = "127.0.0.1"
        self._credentials = credentials or {"login": "demo", "psw": "demo"}

    def ask(self, method: str, /, **fields: Value) -> Answer:
        answer = self.service.arrive(method, self._credentials | fields, now=self.now, source=self.source)
        self.service.leave(answer)
        self.now += 1
        return answer

    def send(self, query: str | None = None, /, **fields: Value) -> dict[str, Value]:
        if query is None:
            return self.ask("send_sms", **(SEND | fields)).fields
        return self.ask("send_sms2", **(SEND | {"query": query} | fields)).fields

    def send_list(self, lines: Iterable[str], query: str = "") -> dict[str, Value]:
        return self.send(f"list={quote(chr(10).join(lines), safe='')}&{query}", phones="", mes="")

    def cost(self, query: str = "", /, **fields: Value) -> dict[str, Value]:
        return self.ask("get_sms_cost2", **(SEND | {"query": query} | fields)).fields

    def status(self, phone: str, id_: str, /, **fields: Value) -> dict[str, Value]:
        return self.ask("get_status", phone=phone, id=id_, **fields).fields

    def errors(self, query: str = "err=1", /, **fields: Value) -> list[tuple[str, str]]:
        listed = self.send(query, **fields).get("errors", [])
        assert isinstance(listed, list)
        return [tuple(entry.values()) for entry in listed if isinstance(entry, dict)]  # type: ignore[misc]


def caller(*, account: Account | None = None, limits: Limits | None = None, plan: DeliveryPlan | None = None) -> Caller:
    service = Service(
        accounts=[account or Account.demo()], limits=limits or Limits.off(), delivery=plan or DeliveryPlan()
    )
    return Caller(service)


# Answers


def test_send_answers_as_recorded() -> None:
    answer = caller().ask("send_sms", **SEND, id="77", sender="SMSC.RU", time="0")
    assert list(answer.fields.items()) == [("id", "77"), ("balance", "9995.5"), ("cost", "4.5"), ("cnt", "1")]
    assert answer.error == 0


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("translit=1&tinyurl=1", ["id", "balance", "cost", "cnt"]),
        ("cost=0", ["id", "balance", "cost", "cnt"]),
        ("cost=1", ["cost", "cnt"]),
        ("cost=2", ["id", "cost", "cnt"]),
        ("cost=3", ["id", "balance", "cost", "cnt"]),
        ("err=1", ["id", "balance", "cost", "cnt"]),
    ],
)
def test_cost_parameter_chooses_what_the_answer_tells(query: str, names: list[str]) -> None:
    assert list(caller().send(query)) == names


def test_quote_sends_and_charges_nothing() -> None:
    demo = caller()
    assert demo.send("cost=1", phones=f"{PHONE},4915112345678") == {"cost": "13.5", "cnt": "2"}
    assert demo.service.messages == ()
    assert demo.ask("get_balance").fields == {"balance": "10000"}


@pytest.mark.parametrize("method", ["get_sms_cost", "get_sms_cost2"])
def test_cost_is_asked_for_every_part_and_recipient(method: str) -> None:
    answer = caller().ask(method, phones=f"{PHONE},4915112345678", mes="я" * 71)
    assert list(answer.fields.items()) == [("cost", "27"), ("cnt", "4")]


def test_balance_is_what_is_left() -> None:
    demo = caller()
    demo.send(mes="a" * 161)
    assert demo.ask("get_balance").fields == {"balance": "9991"}
    assert demo.service.balances == {"demo": Decimal(9991)}


def test_missing_id_is_an_increasing_number() -> None:
    demo = caller()
    assert [demo.send()["id"], demo.send(id="mine")["id"], demo.send(id="")["id"], demo.send(id=None)["id"]] == [
        "1",
        "mine",
        "2",
        "3",
    ]


def test_recipients_of_one_request_share_the_id() -> None:
    demo = caller()
    demo.send_list([f"{PHONE}:a", "79991234568:b"])
    assert [(message.id, message.text) for message in demo.service.messages] == [("1", "a"), ("1", "b")]


def test_service_knows_what_it_accepted() -> None:
    demo = caller(plan=DeliveryPlan.instant())
    demo.send("viber=1", sender="ivan", time="+1", id="x")
    (message,) = demo.service.messages
    assert (message.id, message.phone, message.text, message.sender, message.channel) == (
        "x",
        PHONE,
        "hi",
        "ivan",
        "viber",
    )
    assert (message.accepted_at, message.send_at, message.parts, message.cost) == (NOW, NOW + 60, 1, Decimal("4.5"))
    assert [message.status_at(NOW + 59), message.status_at(NOW + 60)] == [-1, 1]


def test_unknown_fields_are_dropped_unread() -> None:
    assert caller().ask("send_sms", **SEND, query="cost=2", more=["1", "2"]).fields["balance"] == "9995.5"


def test_unknown_method_is_the_callers_mistake() -> None:
    with pytest.raises(KeyError):
        caller().ask("get_weather")


# Status


def test_status_follows_a_message_to_its_end() -> None:
    plan = DeliveryPlan(outcomes=(Share(25, 6, 1),), to_operator=5, to_decision=10, spread=0)
    demo = caller(plan=plan)
    demo.send(id="x")
    seen = []
    for after in (1, 5, 14, 15, 99):
        demo.now = NOW + after
        fields = demo.status(PHONE, "x")
        seen.append((fields["status"], fields["err"], int(str(fields["last_timestamp"])) - NOW))
    assert seen == [("-1", "0", 0), ("0", "0", 5), ("0", "0", 5), ("25", "6", 15), ("25", "6", 15)]


def test_scheduled_message_waits_until_it_is_due() -> None:
    demo = caller(plan=DeliveryPlan.instant())
    demo.send(id="x", time=f"0{int(NOW) + 3600}")
    demo.now = NOW + 3599
    assert [demo.status(PHONE, "x")["status"], demo.status(PHONE, "x")["status"]] == ["-1", "1"]


def test_status_grows_with_all() -> None:
    demo = caller()
    demo.send(id="x")
    sizes = [len(demo.status(PHONE, "x", all=detail)) for detail in ("", "0", "1", "2")]
    assert sizes == [4, 4, 12, 14]
    assert demo.ask("get_status2", phone=PHONE, id="x", all="2", query="charset=utf-8").fields["operator"]


def test_status_tells_dates_in_the_accounts_zone() -> None:
    demo = caller(account=Account(login="demo", password="demo", zone=-3))
    demo.send(id="x")
    assert demo.status(PHONE, "x", all="1")["send_date"] == "14.11.2023 22:13:20"


@pytest.mark.parametrize("phone", [f"+{PHONE}", f"8{PHONE[1:]}"])
def test_message_is_found_by_any_spelling_of_its_number(phone: str) -> None:
    demo = caller()
    demo.send(id="x", phones=phone)
    assert demo.status(PHONE, "x", all="1")["phone"] == demo.status(phone, "x", all="1")["phone"] == PHONE


@pytest.mark.parametrize(("phone", "id_"), [(PHONE, "y"), ("79991234568", "x"), ("nonsense", "x")])
def test_unknown_message_is_error_3(phone: str, id_: str) -> None:
    demo = caller()
    demo.send(id="x")
    assert demo.status(phone, id_) == {"error": "3"}


def test_accounts_do_not_see_each_others_messages() -> None:
    accounts = [Account.demo(), Account(login="other", password="other")]
    service = Service(accounts=accounts, limits=Limits.off())
    Caller(service).send(id="x")
    assert Caller(service, login="other", psw="other").status(PHONE, "x") == {"error": "3"}


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "1"},
        {"phone": PHONE},
        {"phone": PHONE, "id": "1", "all": "3"},
        {"phone": PHONE, "id": ["1", "2"]},
        {"phone": PHONE, "id": "1", "query": {"a": "b"}},
    ],
)
def test_status_needs_a_phone_and_an_id_once_each(fields: dict[str, Value]) -> None:
    assert caller().ask("get_status2", **fields).fields == {"error": "1"}


@pytest.mark.parametrize("number", MAGIC_NUMBERS.values(), ids=lambda number: number.phone)
def test_magic_number_does_what_its_digits_say(number: MagicNumber) -> None:
    demo = caller()
    sent = demo.send(phones=number.phone, id="x")
    demo.now += 1_000_000
    if number.refusal:
        assert sent == {"id": "x", "error": str(number.refusal)}
        assert demo.status(number.phone, "x") == {"error": "3"}
    else:
        assert "error" not in sent
        assert demo.status(number.phone, "x")["status"] == str(number.status)


# Refusals


@pytest.mark.parametrize(
    ("credentials", "error"),
    [
        ({"login": "demo", "psw": "fe01ce2a7fbac8fafaed7c982a04e229"}, None),
        ({"apikey": "demo"}, None),
        ({"apikey": "demo", "login": "", "psw": ""}, None),
        ({"login": "demo", "psw": "wrong"}, "2"),
        ({"apikey": "wrong"}, "2"),
        ({"login": "demo"}, "1"),
        ({"login": ["demo", "demo"], "psw": "demo"}, "1"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_every_method_asks_who_is_there(method: str, credentials: dict[str, Value], error: str | None) -> None:
    fields: dict[str, Value] = {"phones": PHONE, "mes": "hi", "phone": PHONE, "id": "1"}
    service = Service()
    Caller(service).send(id="1", mes="first")
    assert Caller(service, **credentials).ask(method, **fields).fields.get("error") == error


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"mes": ""}, {"error": "1"}),
        ({"phones": ["1", "2"]}, {"error": "1"}),
        ({"time": "tomorrow"}, {"error": "5"}),
        ({"mes": FORBIDDEN_WORD}, {"id": "1", "error": "6"}),
        ({"sender": "a" * 12}, {"id": "1", "error": "6"}),
        ({"phones": "12,G5"}, {"id": "1", "error": "7"}),
        ({"phones": "79000009008,12"}, {"id": "1", "error": "8"}),
    ],
)
def test_refused_send_carries_an_id_where_the_service_gives_one(
    fields: dict[str, Value], answer: dict[str, Value]
) -> None:
    demo = caller()
    assert demo.ask("send_sms", **(SEND | fields)).fields == answer
    assert demo.service.messages == ()
    assert demo.service.balances["demo"] == 10_000


def test_without_money_nothing_is_sent_or_charged() -> None:
    demo = caller(account=Account(login="demo", password="demo", balance=Decimal(5)))
    assert demo.send(phones=f"{PHONE},79991234568") == {"id": "1", "error": "3"}
    assert demo.service.messages == ()
    assert demo.send()["balance"] == "0.5"
    assert demo.send(id="x", mes="more") == {"id": "x", "error": "3"}


def test_good_recipients_are_served_and_bad_ones_listed_on_request() -> None:
    demo = caller()
    phones = f"12,{PHONE},79000009006"
    assert demo.send("err=1", phones=phones, id="x") == {
        "id": "x",
        "balance": "9995.5",
        "cost": "4.5",
        "cnt": "1",
        "errors": [{"phone": "12", "status": "7"}, {"phone": "79000009006", "status": "6"}],
    }
    assert list(demo.send("err=0", phones=phones)) == ["id", "balance", "cost", "cnt"]
    assert [message.phone for message in demo.service.messages] == [PHONE, PHONE]


def test_refusal_of_all_lists_them_too() -> None:
    answer = caller().send("err=1", phones="79000009008,12", id="x")
    assert list(answer.items()) == [
        ("id", "x"),
        ("error", "8"),
        ("errors", [{"phone": "79000009008", "status": "8"}, {"phone": "12", "status": "7"}]),
    ]


def test_lines_of_a_list_are_refused_one_by_one() -> None:
    demo = caller()
    answer = demo.send_list(["12:a", f"{PHONE}:b", f"79991234568:{FORBIDDEN_WORD}"], "err=1")
    assert answer["errors"] == [{"phone": "12", "status": "7"}, {"phone": "79991234568", "status": "6"}]
    assert [message.text for message in demo.service.messages] == ["b"]


def test_cost_leaves_bad_recipients_out() -> None:
    demo = caller()
    assert demo.cost(phones=f"12,{PHONE}") == {"cost": "4.5", "cnt": "1"}
    assert demo.cost(phones="12") == {"error": "7"}
    assert demo.cost(mes=FORBIDDEN_WORD) == {"error": "6"}
    assert demo.cost(phones="79000009003") == {"cost": "4.5", "cnt": "1"}
    assert demo.send("cost=1", phones="79000009008") == {"error": "8"}


def test_virtual_account_answers_as_usual_and_delivers_nothing() -> None:
    demo = caller(account=Account(login="demo", password="demo", virtual=True))
    assert demo.send(id="x")["cost"] == "4.5"
    demo.now += 3600
    report = demo.status(PHONE, "x")
    assert (report["status"], report["err"]) == ("20", "200")


def test_answers_are_counted_by_method_and_error() -> None:
    demo = caller()
    demo.send()
    demo.send()
    demo.send(mes="")
    demo.status(PHONE, "x")
    assert demo.service.counts == {("send_sms", 0): 2, ("send_sms", 1): 1, ("get_status", 3): 1}
    assert demo.service.counts["send_sms", 9] == 0


# Limits


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


def test_stranger_holds_no_place() -> None:
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


def test_want_of_money_is_neither_a_bad_send_nor_a_good_one() -> None:
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
def test_no_request_makes_the_service_stumble(method: str, fields: dict[str, Value]) -> None:
    answer = caller().ask(method, **fields)
    assert str(answer.error or "") == answer.fields.get("error", "")
