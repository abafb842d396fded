"""What the page of faults shows: the rules, the form for another one, and some that are used often."""

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from smsc_async.sandbox._fault import Fault, FaultKind
from smsc_async.sandbox._faults import InjectedFault

from .words import phone_words

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["PRESETS", "FaultForm", "FaultsPage", "WrongField", "faults_page", "read_fault"]


class Kind(NamedTuple):
    """A kind of fault: its name, what happens, and its own fields."""

    group: str
    name: str
    sentence: str
    own: tuple[str, ...] = ()


class Preset(NamedTuple):
    """Rules that are added together."""

    name: str
    sentence: str
    faults: tuple[str, ...]


KINDS: Final[Mapping[FaultKind, Kind]] = MappingProxyType(
    {
        FaultKind.LOSE_REQUEST: Kind(
            "Network", "Lose the request", "The connection breaks before the request is executed: nothing is sent."
        ),
        FaultKind.LOSE_ANSWER: Kind(
            "Network",
            "Lose the answer",
            "The request is executed and charged, then the connection breaks: your program cannot know whether it was.",
        ),
        FaultKind.DELAY: Kind(
            "Network", "Delay", "The request is executed at once, its answer comes these seconds later.", ("seconds",)
        ),
        FaultKind.SLOW_DRIP: Kind(
            "Network", "Slow drip", "The answer comes in 20 pieces, which take these seconds.", ("seconds",)
        ),
        FaultKind.CUT: Kind(
            "Network", "Cut at a byte", "The connection breaks in the answer, after these bytes of it.", ("at",)
        ),
        FaultKind.LEFTOVER_BYTES: Kind(
            "Network", "Leftover bytes", "After the answer, bytes of another answer follow on the same connection."
        ),
        FaultKind.HTTP: Kind(
            "HTTP", "HTTP error page", "A page of HTML with this status comes in place of XML.", ("status", "executed")
        ),
        FaultKind.EMPTY: Kind("HTTP", "Empty answer", "The answer has no body.", ("executed",)),
        FaultKind.GARBAGE: Kind("HTTP", "Garbage", "The request is executed, its answer is random bytes."),
        FaultKind.SOAP_FAULT: Kind(
            "Service", "SOAP Fault", "The answer is a SOAP Fault with this code.", ("faultcode", "executed")
        ),
        FaultKind.ERROR: Kind("Service", "Error 1 to 9", "The service refuses the request with this error.", ("code",)),
        FaultKind.BLOCK: Kind(
            "Service", "Block", "The IP address gets error 4 for these seconds of the clock.", ("seconds",)
        ),
        FaultKind.DRIFTED_NAMESPACE: Kind(
            "Service", "Drifted namespace", "The service knows its procedures by another namespace.", ("namespace",)
        ),
        FaultKind.FOREIGN_ID: Kind("Service", "Foreign id", "The answer to a send has the id of another message."),
        FaultKind.LOSE_CALLBACK: Kind("Callbacks", "Lose the callback", "The callback is not sent."),
        FaultKind.DELAY_CALLBACK: Kind(
            "Callbacks", "Delay the callback", "It is sent these seconds later, another may overtake it.", ("seconds",)
        ),
        FaultKind.DUPLICATE_CALLBACK: Kind("Callbacks", "Send it twice", "The callback is sent twice."),
        FaultKind.FORGE_CALLBACK: Kind(
            "Callbacks", "Forge a callback", "Before it, the same comes with the signature of another secret."
        ),
    }
)
"""The kinds of faults in the order of the form."""
PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "lost-answer": Preset(
            "Lost answer",
            "The next send is executed, its answer is lost. Is it sent twice?",
            ("lose_answer operation=send times=1",),
        ),
        "down": Preset("Service is down", "Every request gets a 502 page until you remove it", ("http status=502",)),
        "network": Preset(
            "Bad network",
            "10 % lost, 10 % late by 3 s, 2 % cut in the middle",
            ("lose_request probability=0.1", "delay seconds=3 probability=0.1", "cut at=200 probability=0.02"),
        ),
        "blocked": Preset("Blocked address", "Error 4 for 30 minutes of the clock", ("block seconds=1800 times=1",)),
        "too-often": Preset("Too often", "30 % of the requests get error 9", ("error code=9 probability=0.3",)),
        "callbacks": Preset(
            "Callbacks gone wrong",
            "Late by 30 s, twice, and forged",
            (
                "delay_callback seconds=30 probability=0.3",
                "duplicate_callback probability=0.3",
                "forge_callback probability=0.3",
            ),
        ),
        "drifted": Preset("Drifted WSDL", "The service moves to another namespace", ("drifted_namespace",)),
    }
)
_TEXTS: Final = ("phone", "namespace", "operation", "faultcode")
_WHOLE: Final = ("times", "after", "at", "status", "code")
_COMMON: Final = ("operation", "phone", "times", "after", "probability")
_WRONG: Final[Mapping[str, str]] = MappingProxyType(
    {
        "kind": "Choose one of the faults.",
        "operation": "Choose one of the operations, or any.",
        "phone": "One recipient, such as +79991234567; add a rule for each.",
        "times": "A whole number, at least 1; empty for every request.",
        "after": "A whole number, at least 0.",
        "probability": "A number above 0, at most 1, for example 0.1.",
        "seconds": "A number of seconds, at least 0, for example 3.",
        "at": "A whole number of bytes, at least 0.",
        "status": "An HTTP status, 200 to 599.",
        "code": "An error of the service, 1 to 9.",
        "faultcode": "Server or Client.",
        "namespace": "A URI without spaces, such as urn:drifted.",
        "executed": "Yes, no, or as usual.",
    }
)
"""What each field of the form has to be."""


@dataclass(frozen=True, slots=True)
class FaultForm:
    """The form for another rule.

    Attributes:
        given: What was entered, by field.
        wrong: What is wrong with it, by field.
    """

    given: Mapping[str, str] = field(default_factory=dict, repr=False)
    wrong: Mapping[str, str] = field(default_factory=dict)

    def value(self, name: str, otherwise: str = "") -> str:
        """Return what was entered in a field."""
        return self.given.get(name, otherwise)


class WrongField(Exception):
    """A form can't be read.

    Attributes:
        form: The form, with what is wrong.
    """

    def __init__(self, form: FaultForm) -> None:
        super().__init__("The rule was not added")
        self.form = form


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRow:
    """A rule in the list.

    Attributes:
        id: Its number.
        name: What it is called.
        text: Its kind and its own parameters, as text.
        sentence: What happens.
        where: Which requests it affects.
        when: How many of them.
        used: How many it has affected.
        is_spent: Whether it affects no more.
    """

    id: int
    name: str
    text: str
    sentence: str
    where: str = field(repr=False)
    when: str
    used: str
    is_spent: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultsPage:
    """What the page shows.

    Attributes:
        rules: The rules in order.
        seed: The seed.
        codes: The same rules for Python, the command line, and HTTP.
        kinds: The kinds of faults by their groups.
    """

    rules: Sequence[FaultRow]
    seed: int
    codes: Sequence[tuple[str, str]]
    kinds: Mapping[str, Sequence[tuple[FaultKind, Kind]]]

    @property
    def presets(self) -> Mapping[str, Preset]:
        """The rules that are used often."""
        return PRESETS

    @property
    def all_kinds(self) -> Sequence[tuple[FaultKind, Kind]]:
        """The kinds of faults."""
        return [each for group in self.kinds.values() for each in group]

    @property
    def kinds_of_requests(self) -> str:
        """The kinds that affect requests, separated by spaces."""
        return " ".join(kind for kind in KINDS if not kind.is_of_callbacks)

    def kinds_with(self, name: str) -> str:
        """Return the kinds that have this field of their own, separated by spaces."""
        return " ".join(kind for kind, each in KINDS.items() if name in each.own)


def faults_page(sandbox: "Sandbox", address: str) -> FaultsPage:
    """Return what the page shows."""
    injected, in_effect = list(sandbox.faults), sandbox.faults.in_effect(sandbox.now())
    groups: dict[str, list[tuple[FaultKind, Kind]]] = {}
    for kind, each in KINDS.items():
        groups.setdefault(each.group, []).append((kind, each))
    return FaultsPage(
        rules=[_rule(each, is_spent=each not in in_effect) for each in injected],
        seed=sandbox.faults.seed,
        codes=_codes([each.fault for each in injected], sandbox.faults.seed, address) if injected else [],
        kinds=groups,
    )


def read_fault(form: Mapping[str, str]) -> Fault:
    """Return the fault that a form describes; the fields of other kinds are left out.

    Raises:
        WrongField: A field is wrong.
    """
    given = {name: value.strip() for name, value in form.items()}
    try:
        kind = FaultKind(given.get("kind", ""))
    except ValueError:
        raise WrongField(FaultForm(given, {"kind": _WRONG["kind"]})) from None
    left_out = "operation" if kind.is_of_callbacks else ""
    names = [name for name in (*_COMMON, *KINDS[kind].own) if given.get(name) and name != left_out]
    try:
        return Fault(kind, **{name: _read(name, given[name]) for name in names})
    except ValueError as error:
        fields = [_field(kind, given, each) for each in str(error).split("; ")]
    raise WrongField(FaultForm(given, {name: _WRONG[name] for name in fields}))


def _field(kind: FaultKind, given: Mapping[str, str], message: str) -> str:
    """Return the field that a message is about: its first word, or one that is missing or does not fit the kind."""
    first = message.partition(" ")[0]
    if first in _WRONG:
        return first
    own = next((name for name in KINDS[kind].own if not given.get(name)), "kind")
    return "operation" if "operation" in message else own


def _read(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    if name == "executed":
        return {"yes": True, "no": False}.get(text, text)
    try:
        return int(text) if name in _WHOLE else float(text.replace(",", "."))
    except ValueError:
        return text


def _rule(injected: InjectedFault, *, is_spent: bool) -> FaultRow:
    fault = injected.fault
    own = {name: value for name in KINDS[fault.kind].own if (value := getattr(fault, name)) is not None}
    affected = "callbacks" if fault.kind.is_of_callbacks else fault.operation or "any operation"
    places = [affected, *([phone_words(fault.phone.lstrip("+"))] if fault.phone else [])]
    return FaultRow(
        id=injected.id,
        name=KINDS[fault.kind].name,
        text=" ".join([fault.kind, *(f"{name}={_written(value)}" for name, value in own.items())]),
        sentence=KINDS[fault.kind].sentence,
        where=", ".join(places),
        when=_when(fault),
        used=f"{injected.used:,} of {fault.times:,}" if fault.times is not None else _times(injected.used),
        is_spent=is_spent,
    )


def _written(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)


def _when(fault: Fault) -> str:
    words = "always" if fault.times is None else "once" if fault.times == 1 else _times(fault.times)
    if fault.probability < 1:
        words = f"{100 * fault.probability:g} %" + ("" if fault.times is None else f", {words}")
    return words + (f", after {fault.after:,} others" if fault.after else "")


def _times(count: int) -> str:
    return f"{count:,} time{'' if count == 1 else 's'}"


def _codes(faults: Sequence[Fault], seed: int, address: str) -> Sequence[tuple[str, str]]:
    python = "\n".join(f"sandbox.faults.add({fault.text!r})" for fault in faults)
    options = [f"--fault {shlex.quote(fault.text)}" for fault in faults]
    command = " \\\n  ".join([f"smsc-async sandbox --seed {seed}", *options])
    calls = "\n".join(
        f"curl {address}/_sandbox/api/faults --json {shlex.quote(json.dumps(fault.as_json()))}" for fault in faults
    )
    return [("Python", python), ("Command line", command), ("HTTP", calls)]
