"""The codes in a text, for tests that enter them."""

import pytest

from smsc_async.sandbox._codes import find_codes


@pytest.mark.parametrize(
    ("text", "codes"),
    [
        ("Your code is 4821", ("4821",)),
        ("4821 is your code.", ("4821",)),
        ("G-482913 is your Google verification code", ("482913",)),
        ("Ваш код: 123-456. Никому не сообщайте", ("123456",)),
        ("Пароль для входа 00421377", ("00421377",)),
        ("Order 1042: your code is 4821", ("4821", "1042")),
        ("Код 4821, заказ 1042", ("4821", "1042")),
        ("Code 4821 or code 4821", ("4821",)),
        ("Құпия код: 5533", ("5533",)),
        ("Use 998877 to log in", ("998877",)),
        ("Code:\n4821\n@shop.example #4821", ("4821",)),
        ("Оплата 1500.00 тенге 12.05.2026 в 10:45", ()),
        ("Call +79991234567 or 8 800 555", ()),
        ("See https://shop.example/4821 and a4821b", ()),
        ("Скидка 1500%", ()),
        ("123 and 123456789", ()),
        ("", ()),
    ],
)
def test_codes_are_found_and_the_most_likely_is_first(text: str, codes: tuple[str, ...]) -> None:
    assert find_codes(text) == codes
