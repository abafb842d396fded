import random
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc_async.sandbox._delivery import MAGIC_NUMBERS, STATUS_NAMES, Change, DeliveryPlan, Life, Share

STEADY = DeliveryPlan(outcomes=(Share(1, 0, 1),), to_operator=2, to_decision=8, spread=0, read_share=1, to_reading=5)


def dice_of(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - repeatable on purpose


def draw(plan: DeliveryPlan, dice: random.Random | None = None, **changes: Any) -> Life:
    given_: dict[str, Any] = {"phone": "79991234567", "accepted_at": 100.0, "send_at": 100.0, "validity": 86_400.0}
    return plan.draw(dice or dice_of(1), **(given_ | changes))


def test_message_waits_is_passed_to_the_operator_and_becomes_final() -> None:
    assert draw(STEADY) == (Change(100, -1), Change(102, 0), Change(110, 1))


def test_scheduled_message_waits_until_it_is_due() -> None:
    assert draw(STEADY, send_at=500.0) == (Change(100, -1), Change(502, 0), Change(510, 1))


def test_read_follows_delivered_where_the_channel_reports_reading() -> None:
    assert draw(STEADY, reports_reading=True)[-2:] == (Change(110, 1), Change(115, 2))


def test_what_is_not_delivered_is_not_read() -> None:
    failing = DeliveryPlan(outcomes=(Share(20, 6, 1),), read_share=1)
    assert [change.status for change in draw(failing, reports_reading=True)] == [-1, 0, 20]


def test_no_message_is_read_where_the_read_share_is_0() -> None:
    plan = DeliveryPlan(outcomes=(Share(1, 0, 1),), read_share=0)
    assert [change.status for change in draw(plan, reports_reading=True)] == [-1, 0, 1]


@pytest.mark.parametrize(
    ("validity", "life"),
    [
        (9.0, (Change(100, -1), Change(102, 0), Change(109, 3, 6))),
        (1.0, (Change(100, -1), Change(101, 0), Change(101, 3, 6))),
    ],
)
def test_pending_message_expires_after_its_validity(validity: float, life: Life) -> None:
    assert draw(STEADY, validity=validity) == life


def test_virtual_message_ends_with_error_200() -> None:
    assert draw(STEADY, virtual=True)[-1] == Change(110, 20, 200)
    assert draw(STEADY, virtual=True, phone="79000000001")[-1] == Change(100, 1, 200)
    assert draw(STEADY, virtual=True, phone="79000000000")[-1] == Change(100, 0, 0)


def test_everything_and_nothing_is_delivered_as_soon_as_it_is_due() -> None:
    for phone in ("79991234567", "79991234568"):
        assert draw(DeliveryPlan.delivered(), phone=phone, send_at=130.0)[-1] == Change(130, 1)
        assert draw(DeliveryPlan.undelivered(), phone=phone, send_at=130.0)[-1] == Change(130, 20, 1)
    assert draw(DeliveryPlan.delivered(), reports_reading=True)[-1] == Change(100, 1)
    assert draw(DeliveryPlan.undelivered(), phone="79000000001")[-1] == Change(100, 1)  # its result is fixed


def test_instant_plan_sets_the_final_status_when_due() -> None:
    assert draw(DeliveryPlan.instant(22, 249), send_at=130.0)[1:] == (Change(130, 0), Change(130, 22, 249))


@pytest.mark.parametrize("number", [number for number in MAGIC_NUMBERS.values() if number.status is not None])
def test_magic_number_takes_its_status_when_due_and_keeps_it(number: Any) -> None:
    waiting, fixed = draw(STEADY, phone=number.phone, send_at=500.0)
    assert waiting == Change(100, -1)
    assert fixed.status == number.status
    assert fixed.at == (500 if number.status >= 0 else 100)
    failed = number.status in {3, 20, 22, 23, 25}
    assert (fixed.err > 0) is failed


def test_magic_numbers_say_in_their_digits_what_they_do() -> None:
    for phone, number in MAGIC_NUMBERS.items():
        assert number.phone == phone
        assert len(phone) == 11
        if number.refusal:
            assert phone == f"790000090{number.refusal:02}"
        elif number.status is not None and number.status < 0:
            assert phone == f"790000010{-number.status:02}"
        else:
            assert phone == f"790000000{number.status:02}"


def test_every_documented_error_has_a_magic_number() -> None:
    assert {number.refusal for number in MAGIC_NUMBERS.values()} == set(range(10))


def test_every_documented_status_has_a_magic_number_and_a_name() -> None:
    assert {number.status for number in MAGIC_NUMBERS.values()} - {None} == set(STATUS_NAMES)


def test_number_refused_at_send_is_delivered_like_any_other_once_accepted() -> None:
    assert draw(STEADY, phone="79000009003") == draw(STEADY)


def test_shares_are_met() -> None:
    plan = DeliveryPlan(outcomes=(Share(1, 0, 3), Share(20, 1, 1)))
    dice = dice_of(7)
    endings = Counter(draw(plan, dice)[-1].status for _ in range(4000))
    assert endings[20] == pytest.approx(1000, rel=0.1)


def test_half_are_final_within_the_medians() -> None:
    plan = DeliveryPlan(outcomes=(Share(1, 0, 1),), to_operator=0, to_decision=4, spread=0.5)
    dice = dice_of(7)
    assert sum(draw(plan, dice)[-1].at <= 104 for _ in range(4000)) == pytest.approx(2000, rel=0.1)


def test_magic_numbers_do_not_shift_the_delivery_results_of_others() -> None:
    plain, mixed = dice_of(3), dice_of(3)
    draw(DeliveryPlan(), plain)
    draw(DeliveryPlan(), mixed, phone="79000000001")
    assert draw(DeliveryPlan(), plain) == draw(DeliveryPlan(), mixed)


@given(st.integers(), st.floats(0, 1e6), st.floats(60, 86_400), st.booleans(), st.booleans())
def test_changes_of_status_are_in_order_of_time(
    seed: int, delay: float, validity: float, reading: bool, virtual: bool
) -> None:
    life = draw(
        DeliveryPlan(to_decision=100, spread=3),
        dice_of(seed),
        send_at=100 + delay,
        validity=validity,
        reports_reading=reading,
        virtual=virtual,
    )
    moments = [change.at for change in life]
    assert moments == sorted(moments)
    assert [change.status for change in life[:2]] == [-1, 0]
    assert life[2].at <= 100 + delay + validity + 1e-6


@pytest.mark.parametrize(
    "wrong",
    [
        {"outcomes": ()},
        {"outcomes": (Share(1, 0, 0),)},
        {"outcomes": (Share(1, 0, 2), Share(20, 1, -1))},
        {"to_operator": -1},
        {"to_decision": -1},
        {"spread": -1},
        {"to_reading": -1},
    ],
)
def test_impossible_plan_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be a number, at least 0|none negative"):
        DeliveryPlan(**wrong)
