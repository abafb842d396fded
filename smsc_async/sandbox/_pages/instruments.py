"""The routes of the limits, the faults, the accounts and the requests."""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from smsc_async.sandbox._accounts import Account
from smsc_async.sandbox._limits import Limits
from smsc_async.sandbox._lookup import Lookup

from .accounts import accounts_of, amount, new_account, prices_with
from .answers import doing, with_toast
from .callbacks import callback_target, target_of
from .excess import excess_of, refused
from .faults import PRESETS, FaultForm, WrongField, faults_page, read_fault
from .limits import Behind, limits_page
from .live import Live
from .render import Renderings
from .requests import RequestSearch, log_of, request_page

if TYPE_CHECKING:
    from smsc_async.sandbox import Sandbox

__all__ = ["Instruments"]

_LONGEST: Final = 15  # digits


class Instruments:
    """The pages beside the inbox.

    Args:
        sandbox: The sandbox.
        lookup: Finds its messages.
        limits: Its limits.
        renderings: Makes pages.
        live: What happens, for the pages that are open.
    """

    def __init__(self, sandbox: "Sandbox", lookup: Lookup, limits: Limits, renderings: Renderings, live: Live) -> None:
        self._sandbox = sandbox
        self._lookup = lookup
        self._limits = limits
        self._renderings = renderings
        self._live = live

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route("/limits", self.limits),
            Route("/faults", self.faults),
            Route("/faults", self.add_fault, methods=["POST"]),
            Route("/faults/remove", doing(self.remove_fault), methods=["POST"]),
            Route("/faults/clear", doing(self.clear_faults), methods=["POST"]),
            Route("/faults/seed", doing(self.set_seed), methods=["POST"]),
            Route("/faults/preset", doing(self.add_preset), methods=["POST"]),
            Route("/accounts", self.accounts),
            Route("/accounts", doing(self.add_account), methods=["POST"]),
            Route("/accounts/balance", doing(self.set_balance), methods=["POST"]),
            Route("/accounts/price", doing(self.set_price), methods=["POST"]),
            Route("/callback", doing(self.set_callback), methods=["POST"]),
            Route("/callback/remove", doing(self.remove_callback), methods=["POST"]),
            Route("/requests", self.requests),
            Route("/requests/{number}", self.request),
        ]

    def limits(self, request: Request) -> Response:
        """Show how full the limits are, and why the last request was refused, or the one that is asked for."""
        position, now, kept = self._live.position(), self._sandbox.now(), self._sandbox.requests
        behind = Behind(kept, self._lookup.search)
        number = _number(request.query_params.get("request", ""))
        exchange = refused(kept, number)
        return self._renderings.page(
            request,
            "limits.html",
            position=position,
            page="limits",
            here=f"/_sandbox/limits?request={number}" if number else "/_sandbox/limits",
            limits=limits_page(self._sandbox, self._limits, behind, now),
            excess=exchange and excess_of(self._sandbox, exchange, behind, now),
        )

    def faults(self, request: Request) -> Response:
        """Show the faults."""
        return self._faults(request, FaultForm())

    async def add_fault(self, request: Request) -> Response:
        """Add the fault of the form, or show the form again with what is wrong."""

        def add(_: Request, form: Mapping[str, str]) -> str:
            self._sandbox.faults.add(read_fault(form))
            return self._changed("The rule is added")

        try:
            answer = await doing(add)(request)
        except WrongField as wrong:
            answer = self._faults(request, wrong.form)
            answer.status_code = 422
            return answer
        if request.headers.get("HX-Request"):  # the form begins anew
            return with_toast(self._faults(request, FaultForm()), "The rule is added")
        return answer

    def remove_fault(self, _: Request, form: Mapping[str, str]) -> str:
        """Remove a fault."""
        self._sandbox.faults.remove(int(_number(form.get("id", "")) or 0))
        return self._changed("The rule is removed")

    def clear_faults(self, _: Request, __: Mapping[str, str]) -> str:
        """Remove all faults."""
        self._sandbox.faults.clear()
        return self._changed("All rules are removed")

    def set_seed(self, _: Request, form: Mapping[str, str]) -> str:
        """Start the random numbers of the faults anew."""
        seed = form.get("seed", "").strip()
        if not (seed.isascii() and seed.removeprefix("-").isdecimal() and len(seed) <= _LONGEST):
            raise ValueError("The seed must be a whole number of at most 15 digits")
        self._sandbox.faults.seed = int(seed)
        return self._changed(f"The random numbers start anew from {int(seed)}")

    def add_preset(self, _: Request, form: Mapping[str, str]) -> str:
        """Add the faults of a preset."""
        preset = PRESETS.get(form.get("preset", ""))
        if preset is None:
            raise ValueError("There is no such preset")
        for fault in preset.faults:
            self._sandbox.faults.add(fault)
        return self._changed(f"{preset.name}: {len(preset.faults)} added")

    def accounts(self, request: Request) -> Response:
        """Show the accounts."""
        return self._renderings.page(
            request,
            "accounts.html",
            position=self._live.position(),
            page="accounts",
            accounts=accounts_of(self._sandbox),
            callback=callback_target(self._sandbox),
        )

    def add_account(self, _: Request, form: Mapping[str, str]) -> str:
        """Add an account."""
        values = new_account(form, [account.login for account in self._sandbox.accounts])
        self._sandbox.put_account(**values)
        return "The account is added"

    def set_balance(self, _: Request, form: Mapping[str, str]) -> str:
        """Top up an account, or set its balance."""
        login = self._account(form).login
        if "add" in form:
            changed = self._sandbox.put_account(login, top_up=amount(form["add"], "The amount", least=Decimal(0)))
        else:
            changed = self._sandbox.put_account(login, balance=amount(form.get("set", ""), "The balance"))
        return f"The balance is {changed.balance:,.2f}"

    def set_price(self, _: Request, form: Mapping[str, str]) -> str:
        """Set the price for numbers that begin with some digits, or remove it."""
        account = self._account(form)
        self._sandbox.put_account(account.login, prices=prices_with(account, form))
        return "The price is set" if form.get("price", "").strip() else "The price is removed"

    def set_callback(self, _: Request, form: Mapping[str, str]) -> str:
        """Send callbacks to the URL of the form from now on."""
        callbacks = self._sandbox.callbacks
        callbacks.set(**target_of(form, callbacks.settings))
        return "Callbacks are sent to this URL from now on"

    def remove_callback(self, _: Request, __: Mapping[str, str]) -> str:
        """Send no callbacks any more."""
        self._sandbox.callbacks.remove()
        return "No callbacks are sent any more"

    def requests(self, request: Request) -> Response:
        """Show the requests that match."""
        position, search = self._live.position(), RequestSearch.read(request.query_params)
        return self._renderings.page(
            request, "requests.html", position=position, page="requests", log=log_of(self._sandbox, search)
        )

    def request(self, request: Request) -> Response:
        """Show a request and its answer."""
        position, number = self._live.position(), _number(request.path_params["number"])
        found = next((each for each in self._sandbox.requests if str(each.number) == number), None)
        if found is None:
            raise HTTPException(404, "There is no such request, or it is not kept any more")
        return self._renderings.page(
            request, "request.html", position=position, page="requests", shown=request_page(found)
        )

    def _faults(self, request: Request, form: FaultForm) -> Response:
        address = f"{request.url.scheme}://{request.url.netloc}"
        position, shown = self._live.position(), faults_page(self._sandbox, address)
        context: dict[str, Any] = {"faults_page": shown, "form": form}
        return self._renderings.page(request, "faults.html", position=position, page="faults", **context)

    def _account(self, form: Mapping[str, str]) -> Account:
        found = next((each for each in self._sandbox.accounts if each.login == form.get("login")), None)
        if found is None:
            raise ValueError("There is no account with this login")
        return found

    def _changed(self, said: str) -> str:
        self._lookup.changes.notify()
        return said


def _number(text: str) -> str:
    """Return a number as it was given, empty if it isn't one."""
    return text if text.isascii() and text.isdecimal() and len(text) <= _LONGEST else ""
