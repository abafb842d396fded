"""The message of the tests of the client."""

from smsc_async import MessageRef

PHONE = "+79991234567"
REF = MessageRef(PHONE, "a1")
