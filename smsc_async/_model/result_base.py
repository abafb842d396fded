"""The base of all answers and callbacks: the fields that are read, and the others, which are kept as received."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, ClassVar, Self, TypeAlias, cast

from pydantic import ConfigDict, JsonValue, model_validator

from .details import Detail
from .frozen import FrozenModel
from .shown import Shown, TableRow

__all__ = ["Result", "Wire"]

Wire: TypeAlias = Mapping[str, JsonValue]


class Result(Shown, FrozenModel):
    """The base of all answers and callbacks.

    Attributes:
        extra: Under the service's names, as received (strings, lists and mappings of them): the fields that this
            version doesn't know, and those of an odd form, whose attribute is None: `cost` for "3,50".
    """

    # The aliases are the service's names, which only `_split` reads.
    model_config: ClassVar[ConfigDict] = ConfigDict(validate_by_alias=False, loc_by_alias=False)
    required: ClassVar[tuple[str, ...]] = ()
    """Wire names of which at least one must be present, or the answer doesn't belong to this operation."""
    _readers: ClassVar[Mapping[str, tuple[str, Callable[[str], object]]]]
    """The attribute of each wire name, and what reads its value."""

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
            field.validation_alias: (
                name,
                next((each.read for each in field.metadata if isinstance(each, Detail)), str),
            )
            for name, field in cls.model_fields.items()
            if isinstance(field.validation_alias, str)
        }

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Show the values that the service returned, not those that it left out."""
        return (
            (name, value)
            for name, value in super().__repr_args__()
            if value is not False and value not in (None, {}, ())
        )

    def to_rows(self) -> list[TableRow]:
        """Return one row with the attributes."""
        return [{name: value for name, value in self if name != "extra"}]

    def _sentence(self) -> str:
        return repr(self)

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
            reader = cls._readers.get(name)
            if reader is None or not isinstance(value, str):
                extra[name] = value
            elif text := value if name == "message" else value.strip():
                attribute, read = reader
                found = read(text)
                if found is None:
                    extra[name] = value
                else:
                    known[attribute] = found
        return known, extra

    @classmethod
    def _of(cls, known: Mapping[str, object], extra: Mapping[str, JsonValue], **values: object) -> Self:
        # Not `model_validate`: an answer that is not understood is not an argument.
        return cast("Self", cls.__pydantic_validator__.validate_python({"extra": extra, **known, **values}))
