"""The answers of the service as frozen values; each keeps in `extra` what is not in an attribute.

The service has executed a request before it answers, so a detail of an odd form makes no answer a failure: it has no
value. Only what the answer is about must be readable: the id of a send (or its `cnt`, if there is no id), the status of
a report, the amount of a price or a balance.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any, ClassVar, Final, Self, TypeAlias, cast

from pydantic import ConfigDict, Field, JsonValue, ValidationError, model_validator

from .details import Detail, read_amount, read_code, read_count, read_price
from .frozen import FrozenModel, wrong
from .recipient_details import RecipientDetails, read_details
from .types import MessageRef, Money, is_group, is_message_id, is_phone, recipient_key

__all__ = [
    "AnyRef",
    "Balance",
    "Cost",
    "RecipientError",
    "Result",
    "SentMessage",
    "read_refusals",
    "ref_of",
    "refs_of",
]

Wire: TypeAlias = Mapping[str, JsonValue]


class Result(FrozenModel):
    """The base of all answers and callbacks.

    Attributes:
        extra: Under the service's names, as received (strings, lists and mappings of them): the fields that this
            version doesn't know, and those of an odd form, whose attribute is None: `cost` for "3,50".
    """

    # The aliases are the service's names, so they count only in `parse`.
    model_config: ClassVar[ConfigDict] = ConfigDict(validate_by_alias=False, loc_by_alias=False)
    required: ClassVar[tuple[str, ...]] = ()
    """Wire names of which at least one must be present, or the answer doesn't belong to this operation."""
    _readers: ClassVar[Mapping[str, Callable[[str], object]]]

    extra: dict[str, JsonValue] = {}

    @model_validator(mode="before")
    @classmethod
    def _without_computed(cls, data: Any) -> Any:
        """Leave out what a dump holds besides the values of the fields."""
        computed = cls.__pydantic_computed_fields__.keys()
        if not isinstance(data, Mapping) or computed.isdisjoint(data):
            return data
        return {name: value for name, value in data.items() if name not in computed}

    @classmethod
    def __pydantic_init_subclass__(cls, **options: Any) -> None:
        super().__pydantic_init_subclass__(**options)
        cls._readers = {
            field.validation_alias: next((each.read for each in field.metadata if isinstance(each, Detail)), str)
            for field in cls.model_fields.values()
            if isinstance(field.validation_alias, str)
        }

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show the values that the service returned, not those that it left out."""
        return (
            (name, value)
            for name, value in super().__repr_args__()
            if value is not False and value not in (None, {}, ())
        )

    @classmethod
    def parse(cls, wire: Wire) -> Self:
        """Read an answer."""
        return cls._of(*cls._split(wire))

    @classmethod
    def _split(cls, wire: Wire) -> tuple[dict[str, object], dict[str, JsonValue]]:
        """Split the answer into the values of this class and extras; an empty element counts as absent."""
        known: dict[str, object] = {}
        extra: dict[str, JsonValue] = {}
        for name, value in wire.items():
            read = cls._readers.get(name)
            if read is None or not isinstance(value, str):
                extra[name] = value
            elif text := value if name == "message" else value.strip():
                found = read(text)
                if found is None:
                    extra[name] = value
                else:
                    known[name] = found
        return known, extra

    @classmethod
    def _of(cls, known: Mapping[str, object], extra: Mapping[str, JsonValue], **values: object) -> Self:
        # Not `model_validate`: an answer that is not understood is not an argument.
        found = cls.__pydantic_validator__.validate_python(
            {"extra": extra, **known, **values}, by_alias=True, by_name=False
        )
        return cast("Self", found)


class Balance(Result):
    """The account's balance.

    Attributes:
        amount: In the account's currency.
    """

    required: ClassVar[tuple[str, ...]] = ("balance",)

    amount: Annotated[Money, Field(validation_alias="balance"), Detail(read_amount)]


class Cost(Result):
    """The price of a send.

    Attributes:
        amount: In the account's currency.
        sms_count: The service's `cnt`: parts times recipients.
    """

    required: ClassVar[tuple[str, ...]] = ("cost",)

    amount: Annotated[Money, Field(validation_alias="cost"), Detail(read_price)]
    sms_count: Annotated[int | None, Field(validation_alias="cnt"), Detail(read_count)] = None


class RecipientError(Result):
    """A recipient that the service refused.

    Attributes:
        phone: The recipient, as the service spells it.
        code: The service's error number for it, as in `ApiError.code`; None if the service gives none.
    """

    phone: Annotated[str, Field(validation_alias="phone")]
    code: Annotated[int | None, Field(validation_alias="status"), Detail(read_code)] = None


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
        if not named and not known.get("cnt"):
            return cls._of({}, extra)
        sent_id = named[0] if named else id
        wrong = Refusals(errors, people)
        refs = [MessageRef.of_checked(to, sent_id) for to in people if wrong.find(to) is None]
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


def read_refusals(value: JsonValue) -> tuple[list[RecipientError], list[JsonValue]]:
    """Read the `errors` of an answer, one element or several; return those without a phone apart."""
    errors: list[RecipientError] = []
    rest: list[JsonValue] = []
    for entry in value if isinstance(value, list) else [value] if value else []:
        if not isinstance(entry, dict):
            rest.append(entry)
            continue
        try:
            errors.append(RecipientError.parse(entry))
        except ValidationError:
            # The message was accepted: one unexpected detail of the answer must not look like a failed send.
            rest.append(entry)
    return errors, rest


# Long enough to identify one subscriber, short enough to leave out a country code that the service may have added.
_TAIL: Final = 9


class Refusals:
    """The refused recipients of one answer, found even if the service spells them differently.

    Args:
        errors: The refused recipients.
        recipients: All recipients of the request.
    """

    def __init__(self, errors: Iterable[RecipientError], recipients: Iterable[str]) -> None:
        given = {recipient_key(error.phone): error for error in errors}
        keys = [recipient_key(recipient) for recipient in recipients] if given else []
        self._by_key = {key: given.pop(key) for key in keys if key in given}
        # Phones only: e-mail addresses of one domain share their ending. Two phones with the same ending are ambiguous.
        tails = Counter(key[-_TAIL:] for key in keys if is_phone(key) and key not in self._by_key)
        self._by_tail = {key[-_TAIL:]: error for key, error in given.items() if tails[key[-_TAIL:]] == 1}

    def find(self, recipient: str) -> RecipientError | None:
        """Return the refusal of this recipient, None if there is none."""
        if not self._by_key and not self._by_tail:
            return None
        key = recipient_key(recipient)
        return self._by_key.get(key) or (self._by_tail.get(key[-_TAIL:]) if is_phone(key) else None)


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
