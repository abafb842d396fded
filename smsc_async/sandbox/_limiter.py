"""All limits of the service: counts each request under those that apply, and says how far each of them is used."""

from collections.abc import Iterator
from typing import Any

from ._accounting import Blocks, InFlight, Key, Streaks, Turnstile
from ._limits import Limits, LimitUse

__all__ = ["Limiter"]


class Limiter:
    """The counters of all limits.

    A key is a login, followed by what the limit is about: the phone and the id of a message, a phone, or the digest of
    a request.

    Args:
        limits: The limits.
        tickets: How many tickets for slots in flight were given before.
    """

    def __init__(self, limits: Limits, tickets: int = 0) -> None:
        self._limits = limits
        self._windows = {
            "identical_send": Turnstile(limits.identical_send),
            "identical_cost": Turnstile(limits.identical_cost),
            "status": Turnstile(limits.status),
            "balance": Turnstile(limits.balance),
        }
        self._subscribers = Streaks(limits.subscriber)
        self._blocks = {"login_failures": Blocks(limits.login_failures), "bad_sends": Blocks(limits.bad_sends)}
        self.in_flight = InFlight(limits, tickets)

    def enter(self, login: str, request: int, *, is_status: bool) -> tuple[int, LimitUse | None]:
        """Give a request a slot in flight.

        Returns:
            The ticket, and the limit that it exceeds, if any.
        """
        ticket, fits = self.in_flight.take(login, is_status=is_status, request=request)
        return ticket, None if fits else next(use for use in self._flights(login) if use.used > use.limit)

    def excess(self, rule: str, key: Key, now: float, request: int) -> LimitUse | None:
        """Count a request in a window, and return the limit if it exceeds it."""
        is_admitted = self._windows[rule].admit(key, now, request)
        return None if is_admitted else self._window_use(rule, key, now)

    def subscriber_excess(self, login: str, phone: str, now: float) -> LimitUse | None:
        """Count a message to a subscriber, and return the limit if it exceeds it."""
        key = (login, phone)
        if self._subscribers.admit(key, now):
            return None
        return self._streak_use(key, *self._subscribers.run(key))

    def block(self, source: str, now: float) -> LimitUse | None:
        """Return the limit for which this address is blocked, None if it is not."""
        blocking = [rule for rule, blocks in self._blocks.items() if blocks.holds(source, now)]
        return self._block_use(blocking[0], source, now) if blocking else None

    def fail(self, rule: str, source: str, now: float, request: int) -> None:
        """Count a failure of an address."""
        self._blocks[rule].fail(source, now, request)

    def succeed(self, rule: str, source: str) -> None:
        """Reset the count of failures of an address."""
        self._blocks[rule].succeed(source)

    def uses(self, now: float) -> Iterator[LimitUse]:
        """Yield each limit that something counts under at the moment."""
        for rule, window in self._windows.items():
            yield from (use for key in window if (use := self._window_use(rule, key, now)).used)
        yield from (self._streak_use(*run) for run in self._subscribers.runs(now))
        for login in self.in_flight.logins():
            yield from (use for use in self._flights(login) if use.used)
        for rule, blocks in self._blocks.items():
            yield from (use for source in blocks.sources() if (use := self._block_use(rule, source, now)).used)

    def dump(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return {name: counters.dump() for name, counters in self._named()}

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a state."""
        for name, counters in self._named():
            counters.load(state[name])

    def _named(self) -> list[tuple[str, Turnstile | Streaks | InFlight | Blocks]]:
        return [
            *self._windows.items(),
            *self._blocks.items(),
            ("subscriber", self._subscribers),
            ("in_flight", self.in_flight),
        ]

    def _window_use(self, rule: str, key: Key, now: float) -> LimitUse:
        turnstile = self._windows[rule]
        assert turnstile.window is not None  # noqa: S101 - a limit that is off has no keys
        counted, most = turnstile.counted(key, now), turnstile.window.count
        about = dict(zip(("phone", "id"), key[1:], strict=True)) if rule == "status" else {}
        return LimitUse(
            rule=rule,
            used=len(counted),
            limit=most,
            seconds=turnstile.window.seconds,
            login=key[0],
            free_at=counted[-most].at + turnstile.window.seconds if len(counted) >= most else None,
            requests=tuple(arrival.request for arrival in counted),
            **about,
        )

    def _streak_use(self, key: Key, count: int, end: float) -> LimitUse:
        streak = self._subscribers.streak
        assert streak is not None  # noqa: S101 - a limit that is off has no keys
        return LimitUse(
            rule="subscriber",
            used=count,
            limit=streak.count,
            seconds=streak.gap,
            login=key[0],
            phone=key[1],
            free_at=end if count >= streak.count else None,
        )

    def _flights(self, login: str) -> Iterator[LimitUse]:
        for rule, most in (
            ("status_in_flight", self._limits.status_in_flight),
            ("in_flight", self._limits.in_flight),
        ):
            if most is not None:
                requests = self.in_flight.requests(login, only_status=rule == "status_in_flight")
                yield LimitUse(rule=rule, used=len(requests), limit=most, seconds=None, login=login, requests=requests)

    def _block_use(self, rule: str, source: str, now: float) -> LimitUse:
        blocks = self._blocks[rule]
        assert blocks.block is not None  # noqa: S101 - a limit that is off has no addresses
        failures, until = blocks.counted(source, now)
        return LimitUse(
            rule=rule,
            used=len(failures),
            limit=blocks.block.failures,
            seconds=blocks.block.seconds,
            source=source,
            free_at=until,
            requests=tuple(failure.request for failure in failures),
        )
