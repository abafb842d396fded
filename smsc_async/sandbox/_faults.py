"""The faults of a sandbox: which request is affected by which of them, and the script of what happened."""

import random
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qs

from smsc_async._model import wrong

from ._fault import Fault, FaultKind, OperationName
from ._fields import Value
from ._recipients import as_stored, canonical, split

__all__ = ["Faults", "InjectedFault", "ScriptEntry"]

_OPERATIONS: Final[Mapping[str, OperationName]] = {
    "send_sms": "send",
    "send_sms2": "send",
    "get_sms_cost": "cost",
    "get_sms_cost2": "cost",
    "get_status": "status",
    "get_status2": "status",
    "get_balance": "balance",
}
_LONGEST_SCRIPT: Final = 10_000


class InjectedFault:
    """A fault in the list of a sandbox.

    Attributes:
        id: Its number.
        fault: What goes wrong, and with which requests.
        seen: How many requests have matched it.
        used: How many requests it has affected.
    """

    def __init__(self, id: int, fault: Fault, seed: int) -> None:  # noqa: A002 - the word of the API
        self.id = id
        self.fault = fault
        self.seen: int = 0
        self.used: int = 0
        self.sow(seed)

    def __repr__(self) -> str:
        return f"<InjectedFault {self.id}: {self.fault!r}, used {self.used} times>"

    @property
    def is_used_up(self) -> bool:
        """Whether it has affected as many requests as it may."""
        return self.fault.times is not None and self.used >= self.fault.times

    def sow(self, seed: int) -> None:
        """Start the random numbers of this fault anew; they do not depend on the other faults."""
        self.dice: random.Random = random.Random(f"{seed}/{self.id}")  # noqa: S311 - repeatable on purpose

    def as_json(self) -> dict[str, Any]:
        """Return its JSON form: that of the fault, with `id`, `seen` and `used`."""
        return {"id": self.id, **self.fault.as_json(), "seen": self.seen, "used": self.used}

    def strikes(self, operation: OperationName | None, phones: Iterable[str], namespace: str) -> bool:
        """Count a request or a callback, and return whether this fault affects it."""
        fault = self.fault
        if fault.operation not in {None, operation} or fault.namespace == namespace:
            return False
        if fault.phone is not None and as_stored(fault.phone) not in phones:
            return False
        self.seen += 1
        if self.seen <= fault.after or self.is_used_up:
            return False
        return fault.probability >= 1.0 or self.dice.random() < fault.probability


@dataclass(frozen=True, slots=True)
class ScriptEntry:
    """A request that arrived at a sandbox, and what became of it.

    Two scripts are equal if the same happened in the same order, whenever that was.

    Attributes:
        at: Unix time of the sandbox when it arrived.
        method: Its method.
        fault: The fault that affected it, None for none.
        executed: Whether the service executed it.
        error: The error of the service, 0 for none.
    """

    at: float = field(compare=False)
    method: str
    fault: FaultKind | None = None
    executed: bool = True
    error: int = 0


class Faults:
    """The faults of a sandbox, in order; each request is affected by the first that applies, or by none.

    Iterate over it for the list:

        sandbox.faults.add("lose_answer", operation="send", times=1)
        sandbox.faults.add("http status=502 probability=0.1")
        [each.fault.kind for each in sandbox.faults]

    Args:
        seed: Seed of their random numbers.
    """

    def __init__(self, seed: int = 0) -> None:
        self._seed = seed
        self._list: list[InjectedFault] = []
        self._last_id = 0
        self._blocked: dict[str, tuple[float, InjectedFault]] = {}
        self._script: deque[ScriptEntry] = deque(maxlen=_LONGEST_SCRIPT)

    def __iter__(self) -> Iterator[InjectedFault]:
        return iter(tuple(self._list))

    def __len__(self) -> int:
        return len(self._list)

    @property
    def seed(self) -> int:
        """Seed of the random numbers: the same seed, faults and requests give the same script."""
        return self._seed

    @seed.setter
    def seed(self, seed: int) -> None:
        """Start all random numbers anew."""
        given: object = seed
        if not isinstance(given, int) or isinstance(given, bool):
            raise wrong("seed", "a whole number", given)
        self._seed = seed
        for each in self._list:
            each.sow(seed)

    @property
    def unused(self) -> tuple[InjectedFault, ...]:
        """The faults that have affected no request."""
        return tuple(each for each in self._list if not each.used)

    def in_effect(self, now: float) -> tuple[InjectedFault, ...]:
        """Return the faults that may affect a request: not used up, or a block or another namespace that lasts."""
        blocks = [block for until, block in tuple(self._blocked.values()) if until > now]
        return tuple(
            each for each in self._list if not each.is_used_up or each.fault.namespace is not None or each in blocks
        )

    @property
    def script(self) -> Sequence[ScriptEntry]:
        """The last 10,000 requests, in the order of their arrival."""
        return tuple(self._script)

    def add(self, fault: Fault | FaultKind | str | Mapping[str, Any], **parameters: Any) -> InjectedFault:
        """Add a fault: a `Fault`, its kind with parameters, its text form, or its JSON form.

        Raises:
            ValueError: It isn't a fault, or a parameter is wrong.
        """
        made = _fault(fault, parameters)
        self._last_id += 1
        added = InjectedFault(self._last_id, made, self._seed)
        self._list = [*self._list, added]  # another thread may be reading the list
        return added

    def remove(self, fault: InjectedFault | int) -> None:
        """Remove a fault, or the one with this id, which ends its blocks of IP addresses.

        Raises:
            ValueError: It is not in the list.
        """
        number = fault.id if isinstance(fault, InjectedFault) else fault
        kept = [each for each in self._list if each.id != number]
        if len(kept) == len(self._list):
            raise ValueError(f"there is no fault with the id {number!r}")
        self._list = kept

    def clear(self) -> None:
        """Remove all faults, which ends their blocks of IP addresses."""
        self._list = []

    def reset(self, faults: Iterable[Fault | str], seed: int) -> None:
        """Begin anew with these faults."""
        self.clear()
        self._script.clear()
        self._seed, self._last_id = seed, 0
        for fault in faults:
            self.add(fault)

    @property
    def namespace(self) -> str | None:
        """The namespace to which the service has drifted, None if it hasn't."""
        return next((each.fault.namespace for each in self._list if each.fault.namespace and each.used), None)

    @property
    def namespaces(self) -> tuple[str, ...]:
        """The namespaces to which the service may drift."""
        return tuple(each.fault.namespace for each in self._list if each.fault.namespace)

    def strike(
        self, method: str, fields: Mapping[str, Value], namespace: str, *, now: float, source: str
    ) -> InjectedFault | None:
        """Return the fault that affects this request, None for none."""
        operation, phones = _OPERATIONS[method], set(_phones(fields))
        until, block = self._blocked.get(source, (now, None))
        if until > now and block in self._list:
            return block
        # Each of them counts the request, so that one fault does not change what another one does.
        striking = [
            each
            for each in self._list
            if not each.fault.kind.is_of_callbacks and each.strikes(operation, phones, namespace)
        ]
        if not striking:
            return None
        first = striking[0]
        first.used += 1
        if first.fault.kind is FaultKind.BLOCK:
            self._blocked[source] = now + (first.fault.seconds or 0.0), first
        return first

    def strike_callback(self, phone: str) -> Fault | None:
        """Return the fault that affects this callback, None for none."""
        phones = {as_stored(phone)}
        striking = [each for each in self._list if each.fault.kind.is_of_callbacks and each.strikes(None, phones, "")]
        if not striking:
            return None
        striking[0].used += 1
        return striking[0].fault

    def record(self, entry: ScriptEntry) -> None:
        """Add a request to the script."""
        self._script.append(entry)


def _fault(fault: object, parameters: Mapping[str, Any]) -> Fault:
    if isinstance(fault, Mapping):
        return Fault.model_validate({**fault, **parameters})
    if isinstance(fault, str) and " " in fault:
        fault = Fault.parse(fault)
    if isinstance(fault, Fault):
        return Fault.model_validate({**fault.model_dump(), **parameters}) if parameters else fault
    if not isinstance(fault, str):
        raise wrong("fault", "a Fault, or its kind such as 'lose_answer', or its text or JSON form", fault)
    return Fault(fault, **parameters)


def _phones(fields: Mapping[str, Value]) -> Iterator[str]:
    """Yield the recipients of a request, as the service stores them."""
    for name in ("phones", "phone"):
        value = fields.get(name)
        if isinstance(value, str):
            yield from map(canonical, split(value))
    query = fields.get("query")
    if isinstance(query, str) and "list=" in query:
        for lines in parse_qs(query).get("list", ()):
            for line in lines.splitlines():
                yield from map(canonical, split(line.partition(":")[0]))
