from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from smsc_async.sandbox._fields import ServiceError, Value, plain, read_text, refuse


@pytest.mark.parametrize(
    ("amount", "text"),
    [("4.50", "4.5"), ("1230.06", "1230.06"), ("1E+3", "1000"), ("0.00", "0"), ("10000", "10000"), ("-2.10", "-2.1")],
)
def test_amount_is_written_without_exponent_and_trailing_zeros(amount: str, text: str) -> None:
    assert plain(Decimal(amount)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**9), max_value=10**9))
def test_written_amount_is_the_amount(amount: Decimal) -> None:
    assert Decimal(plain(amount)) == amount


@pytest.mark.parametrize("fields", [{}, {"mes": None}, {"mes": ""}])
def test_absent_nil_and_empty_field_read_the_same(fields: dict[str, Value]) -> None:
    assert read_text(fields, "mes") == ""


@pytest.mark.parametrize("value", [["1", "2"], {"a": "b"}])
def test_field_that_is_no_text_is_refused_as_a_bad_parameter(value: Value) -> None:
    with pytest.raises(ServiceError) as caught:
        read_text({"id": value}, "id")
    assert caught.value.code == 1


def test_refusal_says_its_code_and_nothing_else() -> None:
    with pytest.raises(ServiceError, match=r"^error 7$") as caught:
        refuse(7)
    assert (caught.value.code, caught.value.id, caught.value.errors) == (7, "", ())
    assert str(ServiceError(3, id="abc", errors=(("79991234567", 3),))) == "error 3"
