"""The routes of the API: each does what a method of `Sandbox` does."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Final

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Path, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPBearer
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException as StarletteHTTPException

from smsc_async._version import __version__
from smsc_async.sandbox._lookup import Lookup
from smsc_async.sandbox._outbox import MessageFilter

from .callbacks import callback_routes
from .models import (
    AccountChange,
    AccountState,
    AccountStates,
    ClockChange,
    ClockState,
    ExchangeState,
    ExchangeStates,
    FaultRequest,
    FaultState,
    FaultStates,
    LimitState,
    LimitStates,
    MessageState,
    MessageStates,
    Problem,
    ServiceMethod,
    ShortText,
    StatusChange,
    instant,
)

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["make_api"]

_DESCRIPTION: Final = """
Find what was sent, wait for it, change its delivery result, move the clock, inject faults, receive callbacks.

- Times are those of the sandbox's clock, in UTC; `wait` is in real time.
- An error is `{"error": "what is wrong, and what to do"}`.
- If the sandbox was started with a token, each request needs `Authorization: Bearer <token>`.
- The Host of a request has to be localhost, the address that the sandbox listens on, or an allowed host; an Origin, if
  there is one, has to be the same.
- Request bodies are JSON of at most 65,536 bytes.
"""
_NO_OBJECT: Final = {"missing", "model_attributes_type"}
Key = Annotated[int, Path(ge=1, description="The key of a message.")]
Login = Annotated[str, Path(pattern=r"^[!-~]{1,100}$", description="The login of an account.")]
Number = Annotated[int, Path(ge=1)]
Limit = Annotated[int, Field(ge=1, le=1000, description="How many to return, at most.")]


class MessageQuery(BaseModel):
    """Which messages to return; what is left out matches any."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    phone: ShortText | None = Field(default=None, description="The recipient; numbers are compared by their digits.")
    text: Annotated[str, Field(max_length=1000)] | None = Field(
        default=None, description="A part of the text, in upper or lower case."
    )
    id: ShortText | None = Field(default=None, description="The message id.")
    status: int | None = None
    login: ShortText | None = Field(default=None, description="The account.")
    since: AwareDatetime | None = Field(
        default=None, description="Only messages accepted at this time or later: with a time zone, or Unix seconds."
    )
    limit: Limit = 100
    wait: Annotated[float, Field(ge=0, le=60)] = Field(
        default=0.0, description="Real seconds to wait until at least one message matches."
    )

    def filter(self) -> MessageFilter:
        """Return what has to match."""
        given = self.model_dump(include={"phone", "text", "id", "status", "login"})
        return MessageFilter(since=None if self.since is None else self.since.timestamp(), **given)


class RequestQuery(BaseModel):
    """Which requests to return; what is left out matches any."""

    model_config = ConfigDict(extra="forbid")

    method: ServiceMethod | None = None
    login: ShortText | None = Field(default=None, description="The account.")
    error: int | None = Field(default=None, description="The error of the service, 0 for none.")
    after: int = Field(default=0, description="Only requests with a larger number.")
    limit: Limit = 100


class LimitQuery(BaseModel):
    """Which limits to return; what is left out matches any."""

    model_config = ConfigDict(extra="forbid")

    login: ShortText | None = Field(default=None, description="The account.")
    rule: ShortText | None = Field(default=None, description="The name of the limit, such as `status`.")
    limit: Limit = 100


def make_api(sandbox: "Sandbox", lookup: Lookup) -> FastAPI:
    """Return the application.

    Args:
        sandbox: The sandbox.
        lookup: Finds its messages.
    """
    api = FastAPI(
        title="smsc-async sandbox",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # they load their scripts from elsewhere
        redoc_url=None,
        generate_unique_id_function=lambda route: route.name,
        responses={"4XX": {"model": Problem, "description": "The request is refused."}},
        dependencies=[Depends(HTTPBearer(auto_error=False, description="Only if the sandbox has a token."))],
    )
    for router in (
        _messages(sandbox, lookup),
        _clock(sandbox),
        _faults(sandbox),
        _service(sandbox),
        _accounts(sandbox),
        callback_routes(sandbox),
    ):
        api.include_router(router)
    api.add_exception_handler(RequestValidationError, _invalid)
    api.add_exception_handler(StarletteHTTPException, _refused)
    return api


def _messages(sandbox: "Sandbox", lookup: Lookup) -> APIRouter:
    router = APIRouter(tags=["messages"])

    @router.get("/messages")
    async def list_messages(query: Annotated[MessageQuery, Query()]) -> MessageStates:
        """Return the messages that match, the newest first; with `wait`, as soon as there is one."""
        wanted = query.filter()
        found = await run_in_threadpool(lookup.search, wanted)
        if not found and query.wait:
            found = await lookup.wait(wanted, query.wait)
        now = sandbox.now()
        shown = [MessageState.of(message, now) for message in found[: query.limit]]
        return MessageStates(messages=shown, total=len(found))

    @router.delete("/messages", status_code=204)
    def delete_messages() -> None:
        """Forget all messages; balances, limits and ids stay."""
        sandbox.delete_messages()

    @router.get("/messages/{key}")
    def get_message(key: Key) -> MessageState:
        """Return a message with its status history."""
        found = lookup.search(MessageFilter(key=key))
        if not found:
            raise HTTPException(404, "there is no message with this key")
        return MessageState.of(found[0], sandbox.now())

    @router.post("/messages/{key}/status")
    def set_status(key: Key, change: StatusChange) -> MessageState:
        """Give a message a status from now on, in place of all later changes."""
        try:
            message = sandbox.set_status(key, change.status, change.err)
        except LookupError:
            raise HTTPException(404, "there is no message with this key") from None
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        return MessageState.of(message, sandbox.now())

    return router


def _clock(sandbox: "Sandbox") -> APIRouter:
    router = APIRouter(tags=["clock"])

    @router.get("/clock")
    async def get_clock() -> ClockState:
        """Return the time of the sandbox."""
        return ClockState(now=instant(sandbox.now()), speed=sandbox.clock.speed)

    @router.post("/clock")
    async def change_clock(change: ClockChange) -> ClockState:
        """Move the clock forward, or change its speed; clients in other processes keep their own clocks."""
        if change.advance is not None:
            try:
                sandbox.advance(change.advance)
            except ValueError as error:
                raise HTTPException(422, str(error)) from None
        if change.speed is not None:
            sandbox.clock.speed = change.speed
        return await get_clock()

    return router


def _faults(sandbox: "Sandbox") -> APIRouter:
    router = APIRouter(tags=["faults"])

    @router.get("/faults")
    async def list_faults() -> FaultStates:
        """Return the faults that are injected, in order."""
        return FaultStates(faults=[FaultState.of(fault) for fault in sandbox.faults])

    @router.post("/faults", status_code=201)
    async def add_fault(fault: FaultRequest) -> FaultState:
        """Inject a fault, such as `{"kind": "http", "status": 502, "operation": "send", "times": 1}`."""
        try:
            added = sandbox.faults.add(fault.model_dump(exclude_none=True))
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        return FaultState.of(added)

    @router.delete("/faults", status_code=204)
    async def delete_faults() -> None:
        """Remove all faults."""
        sandbox.faults.clear()

    @router.delete("/faults/{id}", status_code=204)
    async def delete_fault(id: Number) -> None:  # noqa: A002 - the word of the API
        """Remove a fault."""
        try:
            sandbox.faults.remove(id)
        except ValueError:
            raise HTTPException(404, "there is no fault with this id") from None

    return router


def _service(sandbox: "Sandbox") -> APIRouter:
    router = APIRouter(tags=["service"])

    @router.post("/reset", status_code=204)
    def reset() -> None:
        """Begin anew, as after the start; only the time, keys, numbers and the callback URL go on."""
        sandbox.reset()

    @router.get("/limits")
    def list_limits(query: Annotated[LimitQuery, Query()]) -> LimitStates:
        """Return how far the limits are used that something counts under at the moment, the fullest first."""
        found = [use for use in sandbox.limits() if query.login in {None, use.login} and query.rule in {None, use.rule}]
        return LimitStates(limits=[LimitState.of(use) for use in found[: query.limit]], total=len(found))

    @router.get("/requests")
    def list_requests(query: Annotated[RequestQuery, Query()]) -> ExchangeStates:
        """Return the last requests and their answers, without credentials, the newest first."""
        found = [
            each
            for each in reversed(sandbox.requests)
            if each.number > query.after
            and query.method in {None, each.method}
            and query.login in {None, each.login}
            and query.error in {None, each.error}
        ]
        return ExchangeStates(requests=[ExchangeState.of(each) for each in found[: query.limit]], total=len(found))

    @router.get("/requests/{number}")
    def get_request(number: Number) -> ExchangeState:
        """Return a request and its answer."""
        found = next((each for each in sandbox.requests if each.number == number), None)
        if found is None:
            raise HTTPException(404, "there is no request with this number among the last ones")
        return ExchangeState.of(found)

    return router


def _accounts(sandbox: "Sandbox") -> APIRouter:
    router = APIRouter(tags=["accounts"])

    @router.get("/accounts")
    def list_accounts() -> AccountStates:
        """Return the accounts."""
        balances = sandbox.balances
        return AccountStates(accounts=[AccountState.of(each, balances[each.login]) for each in sandbox.accounts])

    @router.get("/accounts/{login}")
    def get_account(login: Login) -> AccountState:
        """Return an account."""
        found = next((each for each in sandbox.accounts if each.login == login), None)
        if found is None:
            raise HTTPException(404, "there is no account with this login")
        return AccountState.of(found, sandbox.balances[login])

    @router.put("/accounts/{login}")
    def put_account(login: Login, change: AccountChange) -> AccountState:
        """Change an account, such as its balance, or add one."""
        try:
            account = sandbox.put_account(login, **change.changes())
        except ValueError as error:
            raise HTTPException(422, str(error)) from None
        return AccountState.of(account, account.balance)

    return router


async def _invalid(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - registered for it
    problems = error.errors()
    words = "; ".join(_words(each["loc"][1:], each["msg"]) for each in problems)
    if any(
        (each["loc"] == ("body",) and each["type"] in _NO_OBJECT) or each["type"] == "json_invalid" for each in problems
    ):
        words = "the body must be a JSON object, with the header Content-Type: application/json"
    return JSONResponse({"error": words}, 422)


async def _refused(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - registered for it
    return JSONResponse({"error": str(error.detail)}, error.status_code, error.headers)


def _words(place: Iterable[object], message: str) -> str:
    """Return the words of a problem with an argument."""
    return ": ".join(filter(None, [".".join(map(str, place)), message.removeprefix("Value error, ")]))
