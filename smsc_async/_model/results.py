"""The answers of the service as frozen values; each keeps in `extra` what is not in an attribute.

The service has executed a request before it answers, so a detail of an odd form makes no answer a failure: it has no
value. Only what the answer is about must be readable: the id of a send (or its `cnt`, if there is no id), the status of
a report, the amount of a price or a balance.
"""

from collections.abc import Iterable
from typing import Annotated, ClassVar, Self, TypeAlias

from pydantic import Field, JsonValue

from .details import Detail, read_amount, read_count, read_price
from .frozen import wrong
from .recipient_details import RecipientDetails, read_details
from .refusals import RecipientError, Refusals, read_refusals
from .result_base import Result, Wire
from .shown import TableRow, about, code_columns, counted, money
from .types import MessageRef, Money, is_group, is_message_id, recipient_key

__all__ = [
    "AnyRef",
    "Balance",
    "Cost",
    "SentMessage",
    "ref_of",
    "refs_of",
]


class Balance(Result):
    """The account's balance.

    Attributes:
        amount: In the account's currency.
    """

    required: ClassVar[tuple[str, ...]] = ("balance",)

    amount: Annotated[Money, Field(validation_alias="balance"), Detail(read_amount)]

    def to_rows(self) -> list[TableRow]:
        """Return one row with the amount."""
        return [{"amount": self.amount}]

    def _sentence(self) -> str:
        return f"The balance is {money(self.amount)}."


class Cost(Result):
    """The price of a send.

    Attributes:
        amount: In the account's currency.
        sms_count: The service's `cnt`: parts times recipients.
    """

    required: ClassVar[tuple[str, ...]] = ("cost",)

    amount: Annotated[Money, Field(validation_alias="cost"), Detail(read_price)]
    sms_count: Annotated[int | None, Field(validation_alias="cnt"), Detail(read_count)] = None

    def to_rows(self) -> list[TableRow]:
        """Return one row with the amount and the number of SMS."""
        return [{"amount": self.amount, "sms_count": self.sms_count}]

    def _sentence(self) -> str:
        number = "" if self.sms_count is None else f" for {self.sms_count:,} SMS"
        return f"The cost is {money(self.amount)}{number}."


class SentMessage(Result):
    """A send that the service accepted.

    Attributes:
        id: The message id, one for all recipients.
        refs: One reference for each recipient that was accepted (a group's members are unknown, so it has none).
        sms_count: The service's `cnt`: parts times recipients; each is charged.
        cost: The cost, if the service returned it (always with `cost=2` or `cost=3`).
        balance: The balance after the send, if the service returned it (always with `cost=3`).
        errors: The recipients that were refused, if `err` or `op` asked for them.
        details: What `op` asked for about each recipient, if the service returned it.
        reconciled: Whether the answer was lost and status requests have shown that the service accepted it.
        missing: The recipients of a reconciled send that the service did not accept; it accepted the others.
    """

    required: ClassVar[tuple[str, ...]] = ("id", "cnt")

    id: Annotated[str, Field(validation_alias="id")]
    refs: tuple[MessageRef, ...] = ()
    sms_count: Annotated[int | None, Field(validation_alias="cnt"), Detail(read_count)] = None
    cost: Annotated[Money | None, Field(validation_alias="cost"), Detail(read_price)] = None
    balance: Annotated[Money | None, Field(validation_alias="balance"), Detail(read_amount)] = None
    errors: tuple[RecipientError, ...] = ()
    details: tuple[RecipientDetails, ...] = ()
    reconciled: bool = False
    missing: tuple[MessageRef, ...] = ()

    @property
    def ref(self) -> MessageRef:
        """The reference of the only recipient.

        Raises:
            ValueError: There isn't exactly one accepted recipient; see `refs` and `errors`.
        """
        if len(self.refs) != 1:
            raise ValueError(f"this send has {len(self.refs)} references, not one; use .refs")
        return self.refs[0]

    def to_rows(self) -> list[TableRow]:
        """Return one row for each recipient; `send_cost` and `send_sms_count` are those of the whole send."""
        details = {recipient_key(each.phone): each for each in self.details}
        codes = {error.phone: error.code for error in self.errors}
        people = [(ref.phone, True) for ref in self.refs] + [(phone, False) for phone in codes]
        people += [(ref.phone, False) for ref in self.missing]
        rows: list[TableRow] = []
        for phone, accepted in people:
            found = details.get(recipient_key(phone))
            rows.append(
                {
                    "phone": phone,
                    "id": self.id,
                    "accepted": accepted,
                    "code": codes.get(phone),
                    **code_columns("status", None if found is None else found.status),
                    "cost": None if found is None else found.cost,
                    "mccmnc": None if found is None else found.mccmnc,
                    "send_sms_count": self.sms_count,
                    "send_cost": self.cost,
                    "balance": self.balance,
                }
            )
        return rows

    def _sentence(self) -> str:
        refused = len(self.errors) + len(self.missing)
        if len(self.refs) == 1 and not refused:
            what = f"the {about(self.ref.phone, self.id)}"
        else:
            of = f" of {len(self.refs) + refused:,}" if refused else ""
            number = f"{len(self.refs):,}{of} recipients" if of else counted(len(self.refs), "recipient")
            what = f"message {self.id}" + (f" to {number}" if self.refs or refused else "")
        facts = ["" if self.sms_count is None else f"{self.sms_count:,} SMS"]
        facts += ["" if self.cost is None else f"cost {money(self.cost)}"]
        facts += ["" if self.balance is None else f"balance {money(self.balance)}"]
        known = ", ".join(filter(None, facts))
        return f"The service accepted {what}{': ' if known else ''}{known}."

    @classmethod
    def from_wire(cls, wire: Wire, *, id: str, recipients: Iterable[str]) -> Self:  # noqa: A002 - the service's own word
        """Read an answer of `send_sms` or `send_sms2` to these recipients.

        soap-api: an accepted send returns its id. A `cnt` of at least 1 stands for it; without both, nothing shows that
        the send was accepted, and the id is missing.
        """
        known, extra = cls._split(wire)
        people = [recipient for recipient in recipients if not is_group(recipient)]
        errors, rest = read_refusals(extra.pop("errors", None))
        if rest:
            extra["errors"] = rest
        details, rest = read_details(extra.pop("phones", None))
        if rest:
            extra["phones"] = rest
        errors += _only_in_details(errors, details)
        named = _ids(wire.get("id"))
        if known.pop("id", None) is not None and not named:
            extra["id"] = wire["id"]
        if not named and not known.get("sms_count"):
            return cls._of({}, extra)
        sent_id = named[0] if named else id
        if errors:
            wrong = Refusals(errors, people)
            people = [to for to in people if wrong.find(to) is None]
        refs = [MessageRef.of_checked(to, sent_id) for to in people]
        return cls._of(known, extra, id=sent_id, refs=refs, errors=errors, details=details)


def _only_in_details(errors: Iterable[RecipientError], details: Iterable[RecipientDetails]) -> list[RecipientError]:
    listed = {recipient_key(error.phone) for error in errors}
    return [
        RecipientError(phone=each.phone, code=each.error)
        for each in details
        if each.error is not None and recipient_key(each.phone) not in listed
    ]


def _ids(value: JsonValue) -> list[str]:
    """Return the message ids in an element of an answer, which may be repeated."""
    texts = (each.strip() for each in (value if isinstance(value, list) else [value]) if isinstance(each, str))
    return [text for text in texts if is_message_id(text)]


AnyRef: TypeAlias = MessageRef | SentMessage | str
"""One message: its reference, the text form of it, or what `Client.send` returned."""


def refs_of(value: object) -> tuple[MessageRef, ...]:
    """Return the references that a value stands for: one, or all of a `SentMessage`.

    Raises:
        ValueError: It is not an `AnyRef`, or the send has no reference.
    """
    if isinstance(value, MessageRef):
        return (value,)
    if isinstance(value, str):
        return (MessageRef.parse(value),)
    if not isinstance(value, SentMessage):
        raise wrong("a message", "a MessageRef, its text form 'phone:id' or a SentMessage", value)
    if not value.refs:
        raise ValueError("this send has no references: only the service knows the members of a group")
    return value.refs


def ref_of(value: object) -> MessageRef:
    """Return the only reference that a value stands for.

    Raises:
        ValueError: It is not an `AnyRef`, or a send with several recipients.
    """
    return value.ref if isinstance(value, SentMessage) else refs_of(value)[0]
