"""The base of all values: frozen, checked, and without private values in a repr, an error or a frame of an error."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from difflib import get_close_matches
from functools import wraps
from typing import Any, ClassVar, Final, ParamSpec, Self, TypeVar

from pydantic import (
    VERSION,
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
from pydantic_core import CoreSchema, ErrorDetails, InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import no_info_wrap_validator_function

from smsc_async._frames import without_arguments

from .masking import is_private, masked
from .xml_text import why_not_xml

__all__ = ["Choice", "FrozenModel", "build_with_adapters", "kind_of", "wrong"]

P = ParamSpec("P")
T = TypeVar("T")

# A class is built when it is first used, which takes a fifth off the import. Before 2.14, pydantic does not lock that:
# a second thread could validate with the class above.
_IS_BUILT_LATER: Final = tuple(map(int, VERSION.split(".")[:2])) >= (2, 14)

_UNKNOWN: Final = frozenset({"extra_forbidden", "invalid_key"})
_EXPLAINED: Final = "wrong_argument"
_TEXTS: Final = {
    "missing": "is missing",
    "value_error": "{error}",
    "string_type": "must be a string, not {kind}",
    "bytes_type": "must be bytes, not {kind}",
    "int_type": "must be a whole number, not {kind}",
    "int_parsing": "must be a whole number, not {kind}",
    "int_from_float": "must be a whole number, not {kind}",
    "float_type": "must be a number, not {kind}",
    "float_parsing": "must be a number, not {kind}",
    "finite_number": "must be a finite number",
    "decimal_type": "must be a Decimal, not {kind}",
    "bool_type": "must be True or False, not {kind}",
    "bool_parsing": "must be True or False, not {kind}",
    "tuple_type": "must be a list, not {kind}",
    "dict_type": "must be a dict, not {kind}",
    "model_type": "must be {class_name}, not {kind}",
    "datetime_type": "must be a datetime, not {kind}",
    "datetime_parsing": "must be a datetime, not {kind}",
    "datetime_from_date_parsing": "must be a datetime, not {kind}",
    "timezone_aware": "must have a time zone, such as datetime.now(UTC); pass LocalTime(...) for a wall clock time",
    "timezone_naive": "must have no time zone; pass At(...) for an instant",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "multiple_of": "must be a multiple of {multiple_of}",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "bytes_too_short": "must not be empty",
    "too_short": "must not be empty",
    "json_invalid": "this is not JSON",
}
"""What is wrong with an argument, for each type of error of pydantic whose own words name its internals."""


def kind_of(value: object) -> str:
    """Return the kind of a value for an error message; it shows nothing of the value."""
    if isinstance(value, type):
        return "a class"
    if isinstance(value, datetime) and value.utcoffset() is None:
        return "a datetime without a time zone"
    return "None" if value is None else type(value).__name__


def wrong(name: str, form: str, value: object) -> ValueError:
    """Return the error about an argument: its name, what to pass instead, and the kind of what was passed.

    A number that was passed for a number is out of range, so its kind says nothing.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    is_kind = (is_number and form.startswith(("a number", "a whole number"))) or (
        isinstance(value, str) and form.startswith("'")
    )
    return ValueError(f"{name} must be {form}{'' if is_kind else f', not {kind_of(value)}'}")


def _is_private_name(line: ErrorDetails) -> bool:
    """Return whether an argument is unknown and its name is no identifier, so that it may be a private value."""
    if line["type"] not in _UNKNOWN:
        return False
    name = line["loc"][-1]
    return not isinstance(name, str) or not name.isidentifier()


def _in_words(line: ErrorDetails, fields: Iterable[str]) -> str:
    """Return what is wrong with an argument and what to pass, without the value."""
    if line["type"] == _EXPLAINED:
        return line["msg"]
    if _is_private_name(line):
        return "an unknown argument"
    if line["type"] == "extra_forbidden":
        near = get_close_matches(str(line["loc"][-1]), fields, 1)
        return f"is not an argument; did you mean {near[0]}?" if near else "is not an argument"
    if line["type"] == "string_unicode":
        return why_not_xml(line["input"])
    text = _TEXTS.get(line["type"], "is not valid")
    values = {"kind": kind_of(line.get("input")), **line.get("ctx", {})}
    if line["type"] == "model_type":
        values["class_name"] = f"{'an' if values['class_name'][0] in 'AEIOU' else 'a'} {values['class_name']}"
    return text.format_map(values)


def _without_noise(lines: list[ErrorDetails]) -> list[ErrorDetails]:
    """Leave out that a list is empty where all of its items are wrong."""
    places = [line["loc"] for line in lines]
    return [
        line for line in lines if line["type"] != "too_short" or not any(each[:-1] == line["loc"] for each in places)
    ]


def _explained(line: ErrorDetails, fields: Iterable[str]) -> InitErrorDetails:
    """Return the same mistake in our words, without the input."""
    return InitErrorDetails(
        type=PydanticCustomError(_EXPLAINED, "{text}", {"text": _in_words(line, fields)}),
        loc=line["loc"][:-1] if _is_private_name(line) else line["loc"],
        input=None,
    )


def _misnamed(kind: type[BaseModel], data: object) -> list[InitErrorDetails]:
    """Return the missing and the unknown arguments of a class with an `__init__` of its own.

    pydantic would call the `__init__` with the others, and Python's error quotes the unknown names.
    """
    fields = kind.__pydantic_fields__
    if type(data) is dict and data.keys() == fields.keys():
        return []
    if not isinstance(data, Mapping):
        return []
    named = issubclass(kind, Choice) and data.get("kind") == kind.__name__
    missing = [name for name, field in fields.items() if field.is_required() and name not in data]
    unknown = [name for name in data if name not in fields and not (named and name == "kind")]
    wrong_ones = [("missing", name) for name in missing] + [("extra_forbidden", name) for name in unknown]
    return [_explained(ErrorDetails(type=why, loc=(name,), msg="", input=None), fields) for why, name in wrong_ones]


def _place(location: tuple[int | str, ...]) -> str:
    """Return where an argument is: `to[1]`; a name that is no identifier may be a private value."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{step}" if step.isidentifier() else "" for step in location)
    return "".join(steps).removeprefix(".")


def _sentence(error: ValidationError) -> str:
    """Return the mistakes in one line."""
    found = ((_place(line["loc"]), _in_words(line, ())) for line in error.errors(include_url=False))
    # A text that begins with a verb continues the sentence after the name.
    return "; ".join(
        f"{place}{' ' if text.startswith(('must ', 'is ')) else ': '}{text}" if place else text for place, text in found
    )


def _explaining(function: Callable[P, T]) -> Callable[P, T]:
    """Raise the errors of pydantic as a `ValueError` in our words, without a frame that holds the arguments."""

    @wraps(function)
    def checking(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except ValidationError as error:
            text = _sentence(error)
        finally:
            del args, kwargs
        raise ValueError(text)

    return without_arguments(checking)


class FrozenModel(BaseModel):
    """The base of all values: frozen, without unknown fields, and with errors that don't show the input.

    Phones and texts are private and errors end up in logs, so no error holds an input, nor does a frame of the error. A
    repr shows a part of a phone and the length of a text.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_by_name=True,
        validate_default=False,
        regex_engine="python-re",
        defer_build=_IS_BUILT_LATER,
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Wrap the whole schema; a wrap validator of this class would not see the errors of a subclass's validators."""
        has_own_init = cls.__pydantic_custom_init__

        def forget_the_input(data: Any, validate: ValidatorFunctionWrapHandler) -> Any:
            lines = _misnamed(cls, data) if has_own_init else []
            try:
                if not lines:
                    return validate(data)
            except ValidationError as error:
                found = _without_noise(error.errors(include_url=False))
                lines = [_explained(line, cls.model_fields) for line in found]
            raise ValidationError.from_exception_data(cls.__name__, lines, hide_input=True)

        inner = handler(source)
        is_wrapped = inner is vars(cls).get("__pydantic_core_schema__")  # as a field of another class
        return inner if is_wrapped else no_info_wrap_validator_function(forget_the_input, inner)

    def __init_subclass__(cls, **options: Any) -> None:
        if "__init__" in vars(cls):
            setattr(cls, "__init__", _explaining(vars(cls)["__init__"]))  # noqa: B010 - mypy refuses the other form
        super().__init_subclass__(**options)

    @classmethod
    @_explaining
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """Return the value that an object describes."""
        return super().model_validate(obj, **options)

    @classmethod
    @_explaining
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        """Return the value that a JSON document describes."""
        return super().model_validate_json(json_data, **options)

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        return ((name, masked(name, value) if is_private(name) else value) for name, value in super().__repr_args__())

    def __dir__(self) -> Iterable[str]:
        """Return the names of this class, without those that every pydantic model has."""
        kinds = [kind for kind in type(self).__mro__ if issubclass(kind, FrozenModel) and kind is not FrozenModel]
        own = {name for kind in kinds for name, value in vars(kind).items() if isinstance(value, property)}
        rows = {"to_rows"} if hasattr(self, "to_rows") else set()
        return sorted({*type(self).model_fields, *own, *rows, "model_dump", "model_dump_json"})

    def __setattr__(self, name: str, value: Any) -> None:
        # pydantic's own error for this shows the value.
        raise AttributeError(f"{type(self).__name__} is frozen; make a new one")


def _init(self: FrozenModel, /, *others: object, **values: object) -> None:
    if others:
        name = next(iter(type(self).model_fields), "")
        del others, values  # its frame holds them
        example = f", such as {name}=..." if name else ""
        raise TypeError(f"{type(self).__name__}() takes keyword arguments only{example}")
    BaseModel.__init__(self, **values)


# The frames of pydantic hold the input too. It is set here, as pydantic is slower with an `__init__` of the class.
_init.__dict__.update(BaseModel.__init__.__dict__)
setattr(FrozenModel, "__init__", _explaining(_init))  # noqa: B010 - as above


class Choice(FrozenModel):
    """A value of one of several classes; dumps and JSON name the class in `kind`, so that they can be loaded."""

    examples: ClassVar[str]
    """What may be passed, for error messages."""

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
        """Return the value itself, or the one that a mapping with a `kind` describes.

        Raises:
            ValueError: It is neither.
        """
        if isinstance(value, cls) and type(value) is not cls:
            return value
        if not isinstance(value, Mapping):
            raise ValueError(f"must be {cls.examples}, not {cls._what(value)}")  # noqa: TRY004 - pydantic expects it
        kinds = {kind.__name__: kind for kind in cls.__subclasses__()}
        kind = kinds.get(str(value.get("kind")))
        if kind is None:
            raise ValueError(f"`kind` must be one of {', '.join(sorted(kinds))}")
        return kind.model_validate(value)

    @classmethod
    def _what(cls, value: object) -> str:
        """Return the kind of a wrong value, and what was probably meant."""
        name = value.__name__ if isinstance(value, type) else value if isinstance(value, str) else ""
        meant = next((kind.__name__ for kind in cls.__subclasses__() if kind.__name__.lower() == name.lower()), None)
        return f"{kind_of(value)}; did you mean {meant}(...)?" if meant else kind_of(value)


def build_with_adapters(base: type[FrozenModel] = FrozenModel) -> None:
    """Let a `TypeAdapter` of a class build it at once; call it after all of them were defined.

    FastAPI makes an adapter for each parameter, and hides a warning of pydantic while it does so. Built at the first
    request, the adapter would show it.
    """
    for kind in base.__subclasses__():
        kind.model_config["defer_build"] = False
        build_with_adapters(kind)
