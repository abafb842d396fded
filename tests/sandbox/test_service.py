"""The answers of the emulated service: sends, costs, statuses and refusals."""

from decimal import Decimal

import pytest

from smsc_async.sandbox._accounts import Account
from smsc_async.sandbox._delivery import MAGIC_NUMBERS, DeliveryPlan, MagicNumber, Share
from smsc_async.sandbox._fields import Value
from smsc_async.sandbox._limits import Limits
from smsc_async.sandbox._orders import FORBIDDEN_WORD
from smsc_async.sandbox._service import METHODS, Service
from tests.sandbox.caller import NOW, PHONE, SEND, Caller, caller


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
        ("op=1", ["id", "balance", "cost", "cnt", "phones"]),
        ("op=0", ["id", "balance", "cost", "cnt"]),
    ],
)
def test_cost_parameter_chooses_the_fields_of_the_answer(query: str, names: list[str]) -> None:
    assert list(caller().send(query)) == names


def test_details_of_all_recipients_are_listed_on_demand() -> None:
    phones = f"{PHONE},79000009007,ann@example.com"
    assert caller().send("op=1", phones=phones)["phones"] == [
        {"phone": PHONE, "cost": "4.5", "mccmnc": "00104", "status": "-1"},
        {"phone": "79000009007", "error": "7"},
        {"phone": "ann@example.com", "error": "7"},
    ]
    mail = caller().send("op=1&mail=1&subj=s", phones="ann@example.com", sender="shop@example.com")
    assert mail["phones"] == [{"phone": "ann@example.com", "cost": "9", "status": "-1"}]


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


def test_service_lists_what_it_accepted() -> None:
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


def test_unknown_fields_are_ignored() -> None:
    assert caller().ask("send_sms", **SEND, query="cost=2", more=["1", "2"]).fields["balance"] == "9995.5"


def test_unknown_method_raises_a_key_error() -> None:
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


def test_all_adds_fields_to_the_status() -> None:
    demo = caller()
    demo.send(id="x")
    sizes = [len(demo.status(PHONE, "x", all=detail)) for detail in ("", "0", "1", "2")]
    assert sizes == [4, 4, 12, 14]
    assert demo.ask("get_status2", phone=PHONE, id="x", all="2", query="charset=utf-8").fields["operator"]


def test_status_has_dates_in_the_zone_of_the_account() -> None:
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
        assert sent.pop("id", "x") == "x"
        assert sent == {"error": str(number.refusal)}
        assert "error" not in demo.send(), "it blocks nothing"
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
def test_every_method_checks_the_credentials(method: str, credentials: dict[str, Value], error: str | None) -> None:
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
