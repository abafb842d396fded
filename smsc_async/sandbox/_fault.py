"""A fault that the sandbox injects: what goes wrong, and with which requests; as an object, as text and as JSON."""

import shlex
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, Self, TypeAlias

from pydantic import BaseModel, Field, model_validator

from smsc_async._model import FrozenModel, wrong

from ._recipients import split

__all__ = ["Fault", "FaultKind", "OperationName"]

OperationName: TypeAlias = Literal["send", "cost", "status", "balance"]


class FaultKind(StrEnum):
    """What goes wrong."""

    LOSE_REQUEST = "lose_request"
    """The connection is cut before the request is executed."""
    LOSE_ANSWER = "lose_answer"
    """The request is executed, then the connection is cut."""
    DELAY = "delay"
    """The request is executed, and its answer comes `seconds` later."""
    CUT = "cut"
    """The connection is cut before byte `at` of the body of the answer, which is at least one byte short."""
    HTTP = "http"
    """A page with this HTTP `status` comes instead of the answer."""
    EMPTY = "empty"
    """The answer has no body."""
    SOAP_FAULT = "soap_fault"
    """The answer is a SOAP Fault with this `faultcode`."""
    ERROR = "error"
    """The service refuses the request with error `code`, 1 to 9."""
    BLOCK = "block"
    """The service refuses all requests from this IP address with error 4 for `seconds`."""
    DRIFTED_NAMESPACE = "drifted_namespace"
    """The service has moved to another `namespace`: it knows no procedure of the old one, and its WSDL has the new."""
    GARBAGE = "garbage"
    """The answer is random bytes."""
    SLOW_DRIP = "slow_drip"
    """The body of the answer comes in 20 pieces, and takes `seconds`."""
    LEFTOVER_BYTES = "leftover_bytes"
    """After the answer, bytes of another answer follow on the same connection."""
    FOREIGN_ID = "foreign_id"
    """The answer to a send has the id of another message."""
    LOSE_CALLBACK = "lose_callback"
    """A callback is not sent."""
    DELAY_CALLBACK = "delay_callback"
    """A callback is sent `seconds` later, so that another one may overtake it."""
    DUPLICATE_CALLBACK = "duplicate_callback"
    """A callback is sent twice."""
    FORGE_CALLBACK = "forge_callback"
    """Before a callback, the same comes with the signature of another secret."""

    @property
    def is_of_callbacks(self) -> bool:
        """Whether it affects callbacks, and no requests."""
        return self.name.endswith("_CALLBACK")


_REQUIRED: Final = object()
_PARAMETERS: Final[Mapping[FaultKind, Mapping[str, Any]]] = MappingProxyType(
    {
        FaultKind.DELAY: {"seconds": _REQUIRED},
        FaultKind.CUT: {"at": 0},
        FaultKind.HTTP: {"status": 502, "executed": False},
        FaultKind.EMPTY: {"executed": True},
        FaultKind.SOAP_FAULT: {"faultcode": "Server", "executed": False},
        FaultKind.ERROR: {"code": _REQUIRED},
        FaultKind.BLOCK: {"seconds": 600.0},
        FaultKind.DRIFTED_NAMESPACE: {"namespace": "urn:drifted"},
        FaultKind.SLOW_DRIP: {"seconds": _REQUIRED},
        FaultKind.DELAY_CALLBACK: {"seconds": _REQUIRED},
    }
)
_OWN: Final = frozenset(name for names in _PARAMETERS.values() for name in names)
_NOT_EXECUTED: Final = frozenset(
    {FaultKind.LOSE_REQUEST, FaultKind.ERROR, FaultKind.BLOCK, FaultKind.DRIFTED_NAMESPACE}
)
_FORM: Final = "a kind and parameters, such as 'lose_answer operation=send probability=0.1'"
_WORDS: Final[Mapping[str, bool]] = {"true": True, "false": False}


class Fault(FrozenModel):
    """A fault that the sandbox injects into requests or callbacks; `Fault.parse` reads its text form.

    As text: `lose_answer operation=send probability=0.1`. As JSON: `{"kind": "http", "status": 502, "times": 1}`.

    Attributes:
        kind: What goes wrong.
        operation: Only requests of this operation are affected; None for all.
        phone: Only requests about this phone are affected, compared by its digits; None for all.
        times: How many requests are affected, None for no limit.
        after: How many matching requests are unaffected before the first one.
        probability: The probability that a matching request is affected, drawn with the seed.
        seconds: Of `delay`, `slow_drip`, `delay_callback` and `block` (default 600).
        at: Of `cut`: how many bytes of the body arrive.
        status: Of `http`: the HTTP status, default 502.
        code: Of `error`: the error of the service, 1 to 9.
        faultcode: Of `soap_fault`: `Server` (default) or `Client`.
        namespace: Of `drifted_namespace`: the new namespace.
        executed: Of `http`, `empty` and `soap_fault`: whether the service executes the request. Default: only `empty`.

    Raises:
        ValueError: A parameter is out of range, missing, or not one of this kind.
    """

    kind: FaultKind
    operation: OperationName | None = None
    phone: str | None = None
    times: Annotated[int, Field(ge=1, strict=True)] | None = None
    after: Annotated[int, Field(ge=0, strict=True)] = 0
    probability: Annotated[float, Field(gt=0, le=1, strict=True)] = 1.0
    seconds: Annotated[float, Field(ge=0, allow_inf_nan=False, strict=True)] | None = None
    at: Annotated[int, Field(ge=0, strict=True)] | None = None
    status: Annotated[int, Field(ge=200, le=599, strict=True)] | None = None
    code: Annotated[int, Field(ge=1, le=9, strict=True)] | None = None
    faultcode: Literal["Server", "Client"] | None = None
    namespace: Annotated[str, Field(pattern=r"^[!-~]+$")] | None = None
    executed: bool | None = None

    def __init__(self, kind: FaultKind | str, **parameters: Any) -> None:
        BaseModel.__init__(self, kind=kind, **parameters)

    @model_validator(mode="after")
    def _has_its_parameters(self) -> Self:
        own = _PARAMETERS.get(self.kind, {})
        for name in sorted(_OWN):
            if name not in own and getattr(self, name) is not None:
                kinds = ", ".join(kind for kind, names in _PARAMETERS.items() if name in names)
                raise ValueError(f"{name} is a parameter of {kinds}, not of {self.kind}")
        for name, default in own.items():
            if getattr(self, name) is None:
                if default is _REQUIRED:
                    raise ValueError(f"{self.kind} needs {name}, such as '{self.kind} {name}=3'")
                self.__dict__[name] = default
        if self.phone is not None and len([*split(self.phone)]) != 1:
            raise ValueError("phone must be one recipient, such as '+79991234567': add a fault for each")
        if self.kind.is_of_callbacks and self.operation is not None:
            raise ValueError(f"operation is no parameter of {self.kind}, which affects callbacks and no requests")
        if self.kind is FaultKind.FOREIGN_ID:
            if self.operation not in {None, "send"}:
                raise ValueError("foreign_id is a fault of operation=send: no other answer has an id")
            self.__dict__["operation"] = "send"
        return self

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the fault that a text form describes.

        Raises:
            ValueError: It isn't a kind and parameters.
        """
        if not isinstance(text, str):
            raise wrong("fault", _FORM, text)
        try:
            kind, *others = shlex.split(text)
        except ValueError:
            raise ValueError(f"fault must be {_FORM}") from None
        pairs = [each.partition("=") for each in others]
        if not all(name and sign and value for name, sign, value in pairs):
            raise ValueError(f"fault must be {_FORM}: each parameter is name=value")
        if len({name for name, _, _ in pairs}) < len(pairs):
            raise ValueError(f"fault must be {_FORM}, each parameter at most once")
        return cls(kind, **{name: _value(name, value) for name, _, value in pairs})

    @property
    def text(self) -> str:
        """The text form, which `parse` reads; unlike the repr it shows the phone."""
        given = self.as_json()
        del given["kind"]
        return " ".join([self.kind, *(f"{name}={shlex.quote(_written(value))}" for name, value in given.items())])

    def as_json(self) -> dict[str, Any]:
        """Return the JSON form: the kind, and what differs from the defaults."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def is_executed(self) -> bool:
        """Whether the service executes the request."""
        return self.kind not in _NOT_EXECUTED if self.executed is None else self.executed


def _value(name: str, text: str) -> object:
    if name in {"phone", "namespace", "faultcode", "operation"}:
        return text
    for number in (int, float):
        with suppress(ValueError):
            return number(text)
    return _WORDS.get(text.lower(), text)


def _written(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
