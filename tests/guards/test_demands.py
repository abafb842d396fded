"""Which slots a request needs, and under which keys."""

from datetime import UTC, datetime, tzinfo
from typing import Any

import pytest

from smsc_async import (
    After,
    ApiKey,
    At,
    Balance,
    Between,
    Binary,
    Email,
    Flash,
    GetBalance,
    GetStatus,
    LocalTime,
    Message,
    MessageRef,
    SendList,
    Viber,
    Voice,
)
from smsc_async._model.operations import BALANCE_ERRORS, ErrorTable, GetListCost, Operation
from smsc_async._model.result_base import Result, Wire
from smsc_async.guards._demands import Planner, window_of
from smsc_async.guards._store import PAUSE, Demand
from tests.guards.planner import LIMITS, LOGIN, OTHER, PHONE, SALT, cost, login, planner, send

APIKEY = ApiKey.model_validate({"key": "key"})


MOMENT = datetime(2030, 1, 2, 3, 4, tzinfo=UTC)


FIRST = ["blocked", "login_failures", "address_failures"]


def demands(operation: Operation[Result], by: Planner | None = None) -> dict[str, Demand]:
    """Return what an operation needs, by rule; of several under one rule the last."""
    return {demand.rule: demand for demand in (by or planner()).demands(operation)}


def sending_key(by: Planner | None = None, /, **changes: Any) -> bytes:
    return demands(send(**changes), by)["identical_send"].key


def keys(operation: Operation[Result], rule: str) -> list[bytes]:
    return [demand.key for demand in planner().demands(operation) if demand.rule == rule]


# --- the slots that an operation needs
def test_a_send_needs_slots_for_itself_its_recipient_the_address_and_the_gate() -> None:
    found = planner().demands(send())
    assert [demand.rule for demand in found] == [
        "pause",
        *FIRST,
        "bad_sends",
        "identical_send",
        "subscriber",
        "in_flight",
    ]
    assert {demand.rule: demand.limit for demand in found[1:]}.items() <= LIMITS.items()
    assert [demand.amount for demand in found] == [0, 0, 1, 1, 1, 1, 1, 1]


def test_a_status_request_needs_both_gates() -> None:
    found = planner().demands(GetStatus(ref=MessageRef(PHONE, "a1")))
    assert [demand.rule for demand in found] == [*FIRST, "status", "status_in_flight", "in_flight"]


@pytest.mark.parametrize("operation", [cost(), GetListCost(messages=(Message(PHONE, "Hi"), Message(OTHER, "Hi")))])
def test_a_price_request_counts_for_itself_and_for_no_subscriber(operation: Operation[Result]) -> None:
    assert [demand.rule for demand in planner().demands(operation)] == [*FIRST, "identical_cost", "in_flight"]


def test_a_balance_request_counts_for_its_account() -> None:
    found = planner().demands(GetBalance())
    assert [demand.rule for demand in found] == [*FIRST, "balance", "in_flight"]


def test_an_operation_from_elsewhere_needs_what_all_need() -> None:
    class Ping:
        methods = ("ping", None)
        is_read = True
        errors: ErrorTable = BALANCE_ERRORS
        result: type[Result] = Balance

        def fields(self) -> dict[str, str]:
            return {}

        def parameters(self) -> dict[str, str]:
            return {}

        def lines(self) -> tuple[Message, ...]:
            return ()

        def refs(self) -> tuple[MessageRef, ...]:
            return ()

        def read(self, wire: Wire, timezone: tzinfo) -> Balance:
            raise NotImplementedError

    assert [demand.rule for demand in planner().demands(Ping())] == [*FIRST, "in_flight"]
    assert window_of(Ping()) is None


def test_each_recipient_of_one_text_counts_once_and_the_request_is_one_send() -> None:
    found = planner().demands(send([PHONE, OTHER]))
    assert len({demand.key for demand in found if demand.rule == "subscriber"}) == 2
    assert [demand.amount for demand in found if demand.rule == "bad_sends"] == [1]


def test_each_line_of_a_list_counts_for_its_subscriber_and_as_a_send() -> None:
    lines = tuple(Message(f"+7999123456{digit}", "Hi") for digit in range(7))
    found = planner().demands(SendList(messages=lines))
    assert len({demand.key for demand in found if demand.rule == "subscriber"}) == 7
    assert [demand.amount for demand in found if demand.rule == "bad_sends"] == [7]
    assert [demand.amount for demand in found if demand.rule == "identical_send"] == [1]


def test_members_of_a_group_are_not_counted() -> None:
    assert keys(send("G1"), "subscriber") == []
    assert keys(send(["g2", PHONE]), "subscriber") == keys(send(PHONE, "Ho"), "subscriber")


def test_a_rule_that_is_off_needs_no_slot() -> None:
    for rule in LIMITS:
        some = Planner({name: limit for name, limit in LIMITS.items() if name != rule}, SALT, LOGIN, None, "default")
        for operation in (send(), GetBalance(), GetStatus(ref=MessageRef(PHONE, "a1"))):
            found = [demand.rule for demand in some.demands(operation)]
            assert found == [each.rule for each in planner().demands(operation) if each.rule != rule]


def test_allowing_a_duplicate_forces_its_slot_under_that_rule_alone() -> None:
    found = planner().demands(send(), allow_duplicate=True)
    assert [demand.rule for demand in found if demand.forced] == ["identical_send"]
    assert not any(demand.forced for demand in planner().demands(send()))


def test_accepted_credentials_need_no_slots_for_wrong_ones() -> None:
    found = demands(GetBalance())
    assert found["login_failures"].proof == found["address_failures"].proof == found["login_failures"].key
    assert {rule for rule, demand in found.items() if demand.proof is not None} == {
        "login_failures",
        "address_failures",
    }


# --- identical sends
def test_spellings_of_one_number_are_one_recipient() -> None:
    spellings = ["+79991234567", "79991234567", "89991234567"]
    assert len({sending_key(to=phone) for phone in spellings}) == 1
    assert len({tuple(keys(send(phone), "subscriber")) for phone in spellings}) == 1
    assert len({tuple(keys(GetStatus(ref=MessageRef(phone, "a")), "status")) for phone in spellings}) == 1
    assert len({tuple(keys(cost(phone), "identical_cost")) for phone in spellings}) == 1
    assert sending_key(to="+89991234567") != sending_key()


def test_recipients_are_a_set() -> None:
    assert sending_key(to=[PHONE, OTHER]) == sending_key(to=["89991234568", "79991234567"])
    assert sending_key(to=[PHONE, OTHER]) != sending_key(to=[PHONE])


def test_lines_of_a_list_are_a_set() -> None:
    one, two = Message(PHONE, "Hi", sender="ivan"), Message(OTHER, "Ho")
    forth, back = SendList(messages=(one, two)), SendList(messages=(two, one))
    assert keys(forth, "identical_send") == keys(back, "identical_send")
    swapped = SendList(messages=(Message(PHONE, "Ho", sender="ivan"), Message(OTHER, "Hi")))
    assert keys(forth, "identical_send") != keys(swapped, "identical_send")


def test_the_sender_of_a_list_is_that_of_the_lines_that_have_none() -> None:
    for_all = SendList(messages=(Message(PHONE, "Hi"), Message(OTHER, "Hi", sender="petr")), sender="ivan")
    for_each = SendList(messages=(Message(PHONE, "Hi", sender="ivan"), Message(OTHER, "Hi", sender="petr")))
    assert keys(for_all, "identical_send") == keys(for_each, "identical_send")
    unnamed = SendList(messages=(Message(PHONE, "Hi"), Message(OTHER, "Hi", sender="petr")))
    assert keys(for_all, "identical_send") != keys(unnamed, "identical_send")


def test_the_zone_of_a_line_is_part_of_it() -> None:
    at = LocalTime(MOMENT.replace(tzinfo=None))
    moscow, omsk = (SendList(messages=(Message(PHONE, "Hi", tz=tz),), at=at) for tz in (0, 3))
    assert keys(moscow, "identical_send") != keys(omsk, "identical_send")


def test_a_list_of_one_line_is_the_same_as_the_plain_send() -> None:
    assert keys(SendList(messages=(Message(PHONE, "Hi"),)), "identical_send") == [sending_key()]


def test_the_id_makes_no_difference() -> None:
    assert sending_key(id="a1") == sending_key(id="a2") == sending_key()


def test_the_credentials_make_no_difference_within_one_account() -> None:
    corrected = login("ivan", "other")
    assert sending_key(planner(corrected)) == sending_key()
    assert len({sending_key(planner(each, account="shop")) for each in (LOGIN, corrected, APIKEY)}) == 1
    assert sending_key(planner(APIKEY)) != sending_key()
    assert sending_key(planner(APIKEY)) == sending_key(planner(account="key"))


def test_the_address_makes_no_difference_to_a_send() -> None:
    assert sending_key(planner(egress="b")) == sending_key()


@pytest.mark.parametrize("shape", [{"err": True}, {"err": False}, {"op": True}, {"cost": 2}, {"cost": 3}])
def test_what_shapes_only_the_answer_makes_no_difference(shape: dict[str, Any]) -> None:
    assert sending_key(**shape) == sending_key()
    assert sending_key(to=[PHONE, OTHER], **shape) == sending_key(to=[PHONE, OTHER])


VARIANTS: list[dict[str, Any]] = [
    {},
    {"text": "Ho"},
    {"to": OTHER},
    {"to": "G1"},
    {"sender": "ivan"},
    {"sender": "petr"},
    {"at": At(MOMENT)},
    {"at": At(MOMENT.replace(year=2031))},
    {"at": LocalTime(MOMENT.replace(tzinfo=None))},
    {"at": Between(9, 21)},
    {"at": After(5)},
    {"via": Viber()},
    {"via": Flash()},
    {"via": Voice()},
    {"via": Voice(voice="m")},
    {"via": Binary("00ff"), "text": None},
    {"via": Binary("00fe"), "text": None},
    {"via": Email("a@sms.test", "Hello"), "to": "b@sms.test"},
    {"via": Email("c@sms.test", "Hello"), "to": "b@sms.test"},
    {"tz": 3},
    {"period": 1},
    {"period": 1, "freq": 10},
    {"smsreq": 30},
    {"valid": 5},
    {"tinyurl": True},
    {"maxsms": 2},
    {"userip": "10.0.0.1"},
    {"userip": "10.0.0.1", "imgcode": "x"},
    {"pp": "7"},
    {"extra": {"novelty": "1"}},
    {"extra": {"novelty": "2"}},
]


def test_text_recipients_sender_schedule_channel_and_options_make_a_send_another_one() -> None:
    assert len({sending_key(**variant) for variant in VARIANTS}) == len(VARIANTS)


def test_names_of_telegram_and_mail_addresses_count_without_case() -> None:
    mail = Email("a@sms.test", "Hello")
    assert sending_key(via=mail, to="B@SMS.test") == sending_key(via=mail, to="b@sms.test")


# --- the other keys
def test_price_requests_are_identical_by_content() -> None:
    price = keys(cost([PHONE, OTHER]), "identical_cost")
    assert price == keys(cost([OTHER, PHONE]), "identical_cost")
    assert price != keys(cost([PHONE, OTHER], "Ho"), "identical_cost")
    assert price != keys(cost([PHONE, OTHER], "Hi", via=Viber()), "identical_cost")
    lines = GetListCost(messages=(Message(PHONE, "Hi"), Message(OTHER, "Hi")))
    assert keys(lines, "identical_cost") != price


def test_the_status_of_each_message_counts_for_itself_whatever_the_detail() -> None:
    status = keys(GetStatus(ref=MessageRef(PHONE, "a1")), "status")
    assert status == keys(GetStatus(ref=MessageRef(PHONE, "a1"), detail=2), "status")
    assert status != keys(GetStatus(ref=MessageRef(PHONE, "a2")), "status")
    assert status != keys(GetStatus(ref=MessageRef(OTHER, "a1")), "status")


@pytest.mark.parametrize(
    ("operation", "rules"),
    [
        (send(), ["identical_send", "subscriber", "in_flight"]),
        (GetStatus(ref=MessageRef(PHONE, "a1")), ["status", "status_in_flight"]),
        (cost(), ["identical_cost"]),
        (GetBalance(), ["balance"]),
    ],
)
def test_accounts_share_nothing_but_the_address(operation: Operation[Result], rules: list[str]) -> None:
    mine, theirs = demands(operation), demands(operation, planner(account="other"))
    for rule in rules:
        assert mine[rule].key != theirs[rule].key
    assert mine["address_failures"].key == theirs["address_failures"].key == mine["blocked"].key
    assert mine["login_failures"].key != theirs["login_failures"].key


def test_addresses_fail_apart() -> None:
    mine, other = demands(send()), demands(send(), planner(egress="b"))
    for rule in ("blocked", "address_failures", "bad_sends"):
        assert mine[rule].key != other[rule].key
    assert mine["login_failures"].key == other["login_failures"].key


def test_a_corrected_password_fails_apart_from_the_wrong_one() -> None:
    wrong, corrected = (demands(GetBalance(), planner(login("ivan", each))) for each in ("a", "b"))
    assert wrong["login_failures"].key != corrected["login_failures"].key
    assert wrong["address_failures"].key == corrected["address_failures"].key
    assert wrong["balance"].key == corrected["balance"].key


def test_deployments_hash_apart() -> None:
    there = planner(salt=b"another salt....")
    operation = send()
    here = {demand.key for demand in planner().demands(operation)}
    assert here.isdisjoint(demand.key for demand in there.demands(operation) if demand is not PAUSE)


def test_neither_keys_nor_their_printed_form_hold_phones_texts_or_credentials() -> None:
    who = planner(login("ivanov", "geheim"), account="grocery", egress="10.1.2.3")
    sends = SendList(messages=(Message(PHONE, "Kontonummer", sender="absender"),))
    found = [*who.demands(sends), *who.demands(GetStatus(ref=MessageRef(PHONE, "message-id")))]
    words = ["9991234567", "Kontonummer", "absender", "ivanov", "geheim", "grocery", "10.1.2.3", "message-id"]
    for shown in (repr(found), repr(who), *(demand.key.decode("latin-1") for demand in found)):
        assert not [word for word in words if word in shown]


def test_a_guessed_password_can_not_be_checked_against_a_key() -> None:
    # So few bits of the password are in the keys that each of them fits one guess in 65536.
    found = (demands(GetBalance(), planner(login("ivan", each))) for each in ("a", "b"))
    one, two = (each["login_failures"].key for each in found)
    assert len(one) == 18
    assert one[:16] == two[:16] == demands(GetBalance())["in_flight"].key
