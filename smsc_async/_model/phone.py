"""A phone number in international form, read from what people write; pure."""

import re
from types import ModuleType
from typing import Any, Final, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from smsc_async._frames import without_arguments

from .frozen import wrong

__all__ = ["Phone"]

_INTERNATIONAL: Final = re.compile(r"\+[1-9][0-9]{4,14}")  # E.164: at most 15 digits
_LABEL: Final = re.compile(r"[^\d+＋]*")  # noqa: RUF001 - such as "tel. "
_TWO_ZEROS: Final = re.compile(r"[^\d+＋]*[0０٠۰]{2}(.+)", re.DOTALL)  # noqa: RUF001 - digits of other scripts
_SPACES: Final = re.compile(r"[\t\u1680\u2000-\u200a\u202f\u205f]")  # those that phonenumbers does not know
_PLUS: Final = re.compile("[+＋]")  # noqa: RUF001 - a full-width plus
_MISSING: Final = "phones as people write them need an extra package: pip install 'smsc-async[phones]'"
_NO_REGION: Final = "begin it with + and the country code, or pass the country, such as region='RU' (--region RU)"


class Phone(str):
    """A phone number in international form, such as `Phone("+79991234567")`; a `str` for all other purposes.

    `Phone.parse` reads what people write. As the type of a pydantic field or of a FastAPI parameter it reads numbers
    with + or 00; for those of a country: `Annotated[Phone, BeforeValidator(partial(Phone.parse, region="RU"))]`. The
    definition of such a field raises `ModuleNotFoundError` if the package `phonenumbers` is not installed.

    Its `repr` hides most of the digits.

    Args:
        number: + and 5 to 15 digits.

    Raises:
        ValueError: It is not of this form.
    """

    __slots__ = ()

    @without_arguments
    def __new__(cls, number: str) -> Self:
        given: object = number
        if not isinstance(given, str) or not _INTERNATIONAL.fullmatch(given):
            raise wrong("number", "'+79991234567' or another number of + and digits; see Phone.parse", number)
        return super().__new__(cls, number)

    def __repr__(self) -> str:
        return f"Phone('{self[:4]}*****{self[-2:]}')"

    @classmethod
    @without_arguments
    def parse(cls, text: str, region: str | None = None) -> Self:
        """Read a phone number as people write it: with spaces, brackets, dashes, a `00`, a national prefix.

        Args:
            text: One number, with the digits of any script; `tel:` or another label may precede it.
            region: The country of numbers without a country code, in two letters (ISO 3166-1), such as "RU"; None if
                the number begins with + or 00.

        Raises:
            ValueError: It is no valid number, or has an extension, or its country is unknown.
            ModuleNotFoundError: The package `phonenumbers` is not installed.
        """
        if isinstance(text, cls):
            return text
        library = _library()
        given: object = text
        if not isinstance(given, str):
            raise wrong("a phone", "a string", given)
        given = region
        if region is not None:
            region = given.upper() if isinstance(given, str) else ""
            if region not in library.SUPPORTED_REGIONS:
                raise wrong("region", "'RU' or another country in two letters", given)
        return cls(_read(library, text, region))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: object, _handler: GetCoreSchemaHandler) -> CoreSchema:
        _library()  # so that an application without it fails when it starts, and not at its first request

        def read(value: Any) -> Phone:
            try:
                return cls.parse(value)
            except ValueError as error:
                words = str(error)
            explained = PydanticCustomError("wrong_argument", "{text}", {"text": words})
            lines = [InitErrorDetails(type=explained, input=None)]
            raise ValidationError.from_exception_data(cls.__name__, lines, hide_input=True)

        return core_schema.no_info_plain_validator_function(read, serialization=core_schema.to_string_ser_schema())

    @classmethod
    def __get_pydantic_json_schema__(cls, _schema: CoreSchema, _handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "format": "phone", "examples": ["+79991234567"]}


def _library() -> ModuleType:
    try:
        import phonenumbers  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        if error.name != "phonenumbers":
            raise
        raise ModuleNotFoundError(_MISSING, name="phonenumbers") from None
    return phonenumbers


def _read(library: ModuleType, text: str, region: str | None) -> str:
    """Return a number in international form."""
    if any(map(str.isalpha, _LABEL.sub("", text, count=1))):
        raise ValueError("the phone has letters after its first digit; pass one number without an extension or a name")
    text = _SPACES.sub(" ", text)
    number = _parsed(library, text, region)
    zeros = _TWO_ZEROS.fullmatch(text)
    if number is None and zeros:  # 00 is how most countries dial abroad, and no national number begins with it
        number = _parsed(library, f"+{zeros[1]}", region)
    if number is None and (region or zeros or _PLUS.search(text)):
        raise ValueError(f"this is no valid phone number{'' if zeros or not region else f' in {region}'}")
    if number is None:
        raise ValueError(f"the country of the phone is unknown; {_NO_REGION}")
    return str(library.format_number(number, library.PhoneNumberFormat.E164))


def _parsed(library: ModuleType, text: str, region: str | None) -> Any:
    """Return a valid number, None if it is not one."""
    try:
        number = library.parse(text, region)
    except library.NumberParseException:
        return None
    return number if library.is_valid_number(number) and not number.extension else None
