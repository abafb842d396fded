"""An emulator of SMS Center with its limits, prices and delivery statuses: try and test without an account.

    sandbox = Sandbox()
    client = smsc_async.Client(apikey="demo", transport=sandbox.transport())

The default account has the login, the password and the apikey `demo`. Some numbers have a fixed delivery result: see
`MAGIC_NUMBERS`. `smsc-async sandbox` serves it over HTTP for other programs, which find its WSDL at `?wsdl`.
"""

try:
    from ._sandbox import Sandbox
except ModuleNotFoundError as _error:  # pragma: no cover - tested in a process of its own, without the extra
    if _error.name not in {"starlette", "fastapi", "jinja2"}:
        raise
    raise ModuleNotFoundError("the sandbox needs an extra package: pip install 'smsc-async[sandbox]'") from None

from ._accounts import Account
from ._callbacks import (
    Callback,
    CallbackAnswer,
    CallbackAttempt,
    CallbackHash,
    CallbackPoster,
    CallbackSettings,
    CallbackState,
    HttpxPoster,
    SandboxCallbacks,
)
from ._channels import ServiceChannel
from ._delivery import MAGIC_NUMBERS, Change, DeliveryPlan, MagicNumber, Share
from ._exchanges import Exchange
from ._fault import Fault, FaultKind
from ._faults import Faults, InjectedFault, ScriptEntry
from ._limits import Block, Limits, LimitUse, Streak, Window
from ._messages import AcceptedMessage
from ._shared_server import SandboxServer

__all__ = [
    "MAGIC_NUMBERS",
    "AcceptedMessage",
    "Account",
    "Block",
    "Callback",
    "CallbackAnswer",
    "CallbackAttempt",
    "CallbackHash",
    "CallbackPoster",
    "CallbackSettings",
    "CallbackState",
    "Change",
    "DeliveryPlan",
    "Exchange",
    "Fault",
    "FaultKind",
    "Faults",
    "HttpxPoster",
    "InjectedFault",
    "LimitUse",
    "Limits",
    "MagicNumber",
    "Sandbox",
    "SandboxCallbacks",
    "SandboxServer",
    "ScriptEntry",
    "ServiceChannel",
    "Share",
    "Streak",
    "Window",
]
