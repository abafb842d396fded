"""The recipient of the calls to PHP's SoapServer."""

from typing import Final

PHONE: Final = "+79991234567"
