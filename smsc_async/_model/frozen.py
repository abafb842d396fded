"""The base of all values: frozen, checked, and without private values in a repr, an error or a frame of an error."""

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, Final, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    ValidatorFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import no_info_wrap_validator_function

from smsc_async._frames import without_arguments

__all__ = ["Choice", "FrozenModel"]

_PRIVATE: Final = frozenset(
    {
        *("phone", "to", "text", "extra", "imgcode", "userip", "pp"),
        *("data", "udh", "url", "title", "subject", "file_url", "code"),
    }
)
"""The names of the attributes of which a repr shows no value."""

_LONG: Final = 9  # digits; most of a shorter number would be shown


class _Masked:
    """What is shown in place of a value."""

    __slots__ = ("_shown",)

    def __init__(self, shown: str) -> None:
        self._shown = shown

    def __repr__(self) -> str:
        return self._shown


def _masked(name: str | None, value: object) -> object:
    """Return an object that is shown in place of the value of an attribute: a part of a phone, the length of a text."""
    if isinstance(value, Mapping):
        return {key: _masked(None, item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return _Masked(_counted(len(value), "recipient" if name == "to" else "item"))
    if name == "phone" and isinstance(value, str) and value.lstrip("+").isdecimal() and len(value) >= _LONG:
        return _Masked(f"'{value[:4]}*****{value[-2:]}'")
    if isinstance(value, (str, bytes)):
        return _Masked(_counted(len(value), "character" if isinstance(value, str) else "byte"))
    return value


def _counted(number: int, word: str) -> str:
    return f"<{number} {word}{'' if number == 1 else 's'}>"


class FrozenModel(BaseModel):
    """The base of all values: frozen, without unknown fields, and with errors that don't show the input.

    Phones and texts are private and errors end up in logs, so neither `str(error)` nor `error.errors()` holds an input,
    nor does a frame of the error. A repr shows a part of a phone and the length of a text.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_default=False,
        regex_engine="python-re",
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Wrap the whole schema; a wrap validator of this class would not see the errors of a subclass's validators."""

        def forget_the_input(data: Any, validate: ValidatorFunctionWrapHandler) -> Any:
            try:
                return validate(data)
            except ValidationError as error:
                lines = [
                    InitErrorDetails(type=PydanticCustomError(line["type"], line["msg"]), loc=line["loc"], input=None)
                    for line in error.errors(include_url=False, include_context=False, include_input=False)
                ]
            raise ValidationError.from_exception_data(cls.__name__, lines, hide_input=True)

        return no_info_wrap_validator_function(forget_the_input, handler(source))

    def __init_subclass__(cls, **options: Any) -> None:
        if "__init__" in vars(cls):
            setattr(cls, "__init__", without_arguments(vars(cls)["__init__"]))  # noqa: B010 - mypy refuses the other form
        super().__init_subclass__(**options)

    @classmethod
    @without_arguments
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the value that an object describes."""
        return super().model_validate(obj, **options)

    @classmethod
    @without_arguments
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Return the value that a JSON document describes."""
        return super().model_validate_json(json_data, **options)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return ((name, _masked(name, value) if name in _PRIVATE else value) for name, value in super().__repr_args__())

    def __setattr__(self, name: str, value: Any) -> None:
        # pydantic's own error for this shows the value.
        raise AttributeError(f"{type(self).__name__} is frozen; make a new one")


# The frames of pydantic hold the input too.
setattr(FrozenModel, "__init__", without_arguments(BaseModel.__init__))  # noqa: B010 - as above


class Choice(FrozenModel):
    """A value of one of several classes; dumps and JSON name the class in `kind`, so that they can be loaded."""

    @model_serializer(mode="wrap")
    def _name_the_kind(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {"kind": type(self).__name__, **handler(self)}

    @model_validator(mode="wrap")
    @classmethod
    def _take_the_kind_off(cls, data: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if isinstance(data, Mapping) and data.get("kind") == cls.__name__:
            return handler({name: value for name, value in data.items() if name != "kind"})
        return handler(data)

    @classmethod
    def revive(cls, value: Any) -> Any:
        """Return the value that a mapping with a `kind` describes; return anything else unchanged."""
        if not isinstance(value, Mapping):
            return value
        kinds = {kind.__name__: kind for kind in cls.__subclasses__()}
        kind = kinds.get(str(value.get("kind")))
        if kind is None:
            raise ValueError(f"`kind` must be one of {', '.join(sorted(kinds))}")
        return kind.model_validate(value)
