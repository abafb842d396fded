"""Every exception has the outcome of the request, and can be pickled through a process pool."""

import copy
import inspect
import pickle
from datetime import UTC, datetime

import pytest

from smsc_async._model import exceptions as _exceptions
from smsc_async._model.codes import MessageStatus
from smsc_async._model.exceptions import (
    AddressBlocked,
    ApiError,
    AuthenticationFailed,
    BalanceTooOften,
    BreakerOpen,
    ClientClosed,
    ConnectError,
    ConnectionLost,
    CostTooOften,
    DeliveryFailed,
    DuplicateSend,
    GuardError,
    GuardStoreError,
    HTTPStatusError,
    InsufficientFunds,
    InvalidDate,
    InvalidParameters,
    InvalidPhone,
    JournalError,
    JournalInUse,
    MalformedEnvelope,
    MessageForbidden,
    MessageNotFound,
    Outcome,
    PoolTimeout,
    ProtocolError,
    ReadTimeout,
    Scope,
    SendingPaused,
    SendOutcomeUnknown,
    SmscError,
    SoapFault,
    SpendLimitReached,
    StatusTooOften,
    SubscriberFlood,
    TooManyInFlight,
    TooManyRequests,
    TransportError,
    Undeliverable,
    WrongEventLoop,
)
from smsc_async._model.operations import BALANCE_ERRORS, SENDING_ERRORS, STATUS_ERRORS, api_error
from smsc_async._model.reports import DeliveryReport
from smsc_async._model.types import MessageRef
from smsc_async._model.unresolved import UnresolvedSend
from tests.errors import ERRORS

REF = MessageRef("+79991234568", "id-0")
UNRESOLVED = UnresolvedSend(id="id-0", refs=(REF,), began=datetime.now(UTC), failed=datetime.now(UTC))
NOT_SENT, REJECTED, UNKNOWN = Outcome.NOT_SENT, Outcome.REJECTED, Outcome.UNKNOWN

GUARDS = (
    DuplicateSend,
    SubscriberFlood,
    StatusTooOften,
    CostTooOften,
    BalanceTooOften,
    TooManyInFlight,
    BreakerOpen,
    GuardStoreError,
    SendingPaused,
    SpendLimitReached,
)
TABLE: list[tuple[SmscError, Outcome, str]] = [
    (SmscError("words"), UNKNOWN, "words"),
    (SendOutcomeUnknown("words", accepted=[REF], unsent=[]), UNKNOWN, "words"),
    (DeliveryFailed("words"), REJECTED, "words"),
    (JournalError("words"), UNKNOWN, "words"),
    (WrongEventLoop("words"), NOT_SENT, "words"),
    (ClientClosed("words"), NOT_SENT, "words"),
    (JournalInUse("words"), NOT_SENT, "words"),
    (GuardError("words", retry_after=1.5), NOT_SENT, "words"),
    *((kind("words"), NOT_SENT, "words") for kind in GUARDS),
    (TransportError("words"), UNKNOWN, "words"),
    (ConnectError("words"), NOT_SENT, "words"),
    (PoolTimeout("words"), NOT_SENT, "words"),
    (ConnectionLost("words"), UNKNOWN, "words"),
    (ReadTimeout("words"), UNKNOWN, "words"),
    (HTTPStatusError("HTTP 301", status_code=301), REJECTED, "HTTP 301"),
    (HTTPStatusError("HTTP 404", status_code=404), REJECTED, "HTTP 404"),
    (HTTPStatusError("HTTP 405", status_code=405), REJECTED, "HTTP 405"),
    (HTTPStatusError("HTTP 413", status_code=413), REJECTED, "HTTP 413"),
    (HTTPStatusError("HTTP 400", status_code=400), UNKNOWN, "HTTP 400"),
    (HTTPStatusError("HTTP 500", status_code=500), UNKNOWN, "HTTP 500"),
    (HTTPStatusError("HTTP 503", status_code=503), UNKNOWN, "HTTP 503"),
    (ProtocolError("words"), UNKNOWN, "words"),
    (MalformedEnvelope("words"), UNKNOWN, "words"),
    (SoapFault("words"), UNKNOWN, "words"),
    (SoapFault("words", fault_code="Server", fault_string="Internal Error"), UNKNOWN, "words"),
    (SoapFault("words", fault_code="Server", fault_string="Procedure 'send' not present"), REJECTED, "words"),
    (SoapFault("words", fault_code="Client", fault_string="Bad Request"), REJECTED, "words"),
    (SoapFault("words", fault_code="Sender", fault_string="Bad Request"), REJECTED, "words"),
    (SoapFault("words", fault_code="VersionMismatch", fault_string="Wrong Version"), REJECTED, "words"),
    (SoapFault("words", fault_code="MustUnderstand", fault_string="Header not understood"), REJECTED, "words"),
    (
        api_error(SENDING_ERRORS, 77),
        REJECTED,
        "error 77: the service refused the request with an undocumented code",
    ),
    (
        api_error(SENDING_ERRORS, 1),
        REJECTED,
        "error 1: the service found an error in the parameters; check the arguments and `extra`",
    ),
    (
        api_error(SENDING_ERRORS, 2),
        REJECTED,
        (
            "error 2: wrong login, password or apikey, or an IP address missing from the account's list of allowed "
            "ones; five such failures in 30 minutes block the IP address"
        ),
    ),
    (api_error(SENDING_ERRORS, 3), REJECTED, "error 3: the account has too little money; top it up"),
    (
        api_error(STATUS_ERRORS, 3),
        REJECTED,
        "error 3: no message has this phone and id; use the MessageRef that the send returned",
    ),
    (
        api_error(SENDING_ERRORS, 4),
        REJECTED,
        "error 4: the service blocks this IP address for 10 to 30 minutes because of frequent errors; stop until then",
    ),
    (api_error(SENDING_ERRORS, 5), REJECTED, "error 5: the service can't read the date of `at`"),
    (api_error(SENDING_ERRORS, 6), REJECTED, "error 6: the text or the sender name isn't allowed for this account"),
    (api_error(SENDING_ERRORS, 7), REJECTED, "error 7: a phone number is not valid; pass it in international format"),
    (api_error(SENDING_ERRORS, 8), REJECTED, "error 8: messages to this number can't be delivered"),
    (
        api_error(SENDING_ERRORS, 9),
        REJECTED,
        "error 9: the same request came too often within a minute; wait a minute",
    ),
]


@pytest.mark.parametrize(("error", "outcome", "words"), TABLE)
def test_every_exception_says_its_words_and_its_outcome(error: SmscError, outcome: Outcome, words: str) -> None:
    assert str(error) == words
    assert error.outcome is outcome
    assert error.args == (words,)


def test_table_holds_every_exception_of_the_package() -> None:
    classes = {kind for _, kind in inspect.getmembers(_exceptions, inspect.isclass) if issubclass(kind, SmscError)}
    assert {type(error) for error, _, _ in TABLE} == classes
    assert {kind.__name__ for kind in classes} | {"Outcome", "Scope"} == set(_exceptions.__all__)


def test_tree_in_the_docstring_names_every_exception_under_its_parent() -> None:
    parents: dict[str, str] = {}
    above: list[tuple[int, str]] = []
    for line in str(_exceptions.__doc__).splitlines():
        words = line.replace("*", "x").split("x ")
        names = [word.split()[0] for word in words[1:] if word[:1].isupper()]
        depth = len(line) - len(line.lstrip())
        if not names or not line.lstrip().startswith(("* ", "x ")):
            continue
        above = [(level, name) for level, name in above if level < depth]
        for name in names:
            parents[name] = above[-1][1] if above else "Exception"
        above.append((depth, names[0]))
    assert parents == {type(error).__name__: type(error).__mro__[1].__name__ for error, _, _ in TABLE}


@pytest.mark.parametrize("error", [error for error, _, _ in TABLE])
def test_exception_survives_pickle_and_copies_with_all_its_attributes(error: SmscError) -> None:
    error = error.replace(id="id-1", refs=(MessageRef("+79991234567", "id-1"),), unresolved=UNRESOLVED)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error), copy.deepcopy(error)):  # noqa: S301 - our own bytes
        assert type(again) is type(error)
        assert vars(again) == vars(error)
        assert (str(again), again.outcome) == (str(error), error.outcome)


def test_failed_delivery_has_its_report_also_in_another_process() -> None:
    report = DeliveryReport(ref=REF, status=MessageStatus.EXPIRED)
    error = DeliveryFailed("words", report=report)
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.report, again.id, again.refs) == (report, REF.id, (REF,))


@pytest.mark.parametrize("error", [error for error, _, _ in TABLE])
def test_exception_keeps_phone_and_id_out_of_its_words(error: SmscError) -> None:
    assert (error.id, error.refs) == (None, ())
    error = error.replace(id="canary-id", refs=(MessageRef("+79991234567", "canary-id"),))
    assert (error.id, error.refs) == ("canary-id", (MessageRef("+79991234567", "canary-id"),))
    assert "canary" not in f"{error!s}{error!r}"
    assert "7999" not in f"{error!s}{error!r}"


@pytest.mark.parametrize("error", [error for error, _, _ in TABLE])
def test_replacing_makes_a_new_error_and_never_changes_the_one_that_was_raised(error: SmscError) -> None:
    before = copy.deepcopy(vars(error)), error.args, error.outcome
    new = error.replace("other words", id="id-1", refs=(REF,), unresolved=UNRESOLVED, outcome=NOT_SENT)
    assert (vars(error), error.args, error.outcome) == before
    assert type(new) is type(error)
    assert (str(new), new.id, new.refs, new.unresolved, new.outcome) == (
        "other words",
        "id-1",
        (REF,),
        UNRESOLVED,
        NOT_SENT,
    )
    assert vars(error.replace()) == vars(error)
    with pytest.raises(TypeError, match=r"has no attribute refz$"):
        error.replace(refz=(REF,))


def test_replaced_error_has_the_traceback_and_the_cause_of_the_first() -> None:
    with pytest.raises(ConnectError) as caught:
        raise ConnectError("words") from OSError("why")
    new = caught.value.replace(id="id-1")
    assert new.__traceback__ is caught.value.__traceback__
    assert new.__cause__ is caught.value.__cause__


def test_error_of_a_users_own_class_is_replaced_without_its_constructor() -> None:
    class Refused(ConnectError):
        def __init__(self, host: str, port: int) -> None:
            super().__init__(f"{host} refused port {port}")
            self.port = port

    new = Refused("sms.test", 443).replace(id="id-1")
    assert (str(new), new.port, new.id) == ("sms.test refused port 443", 443, "id-1")


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [
        (ConnectError, ConnectionError),
        (ConnectionLost, ConnectionError),
        (PoolTimeout, TimeoutError),
        (ReadTimeout, TimeoutError),
    ],
)
def test_network_failure_is_also_the_builtin_one_expects(kind: type[SmscError], builtin: type[Exception]) -> None:
    with pytest.raises(builtin, match="words"):
        raise kind("words")


@pytest.mark.parametrize("status_code", range(300, 400))
def test_redirect_was_not_executed(status_code: int) -> None:
    assert HTTPStatusError("", status_code=status_code).outcome is REJECTED


def test_guard_error_has_the_time_to_wait_if_it_is_known() -> None:
    assert GuardError("words", retry_after=1.5).retry_after == 1.5
    assert TooManyInFlight("words").retry_after is None


@pytest.mark.parametrize(
    ("fault_string", "missing"),
    [
        ("Procedure 'status' not present", True),
        ("Procedure 'status' not present.", False),
        ("The Procedure 'status' not present", False),
        ("", False),
    ],
)
def test_missing_procedure_is_known_by_the_servers_words(fault_string: str, *, missing: bool) -> None:
    assert SoapFault("words", fault_code="Server", fault_string=fault_string).procedure_missing is missing


@pytest.mark.parametrize(
    ("errors", "kinds"),
    [
        (
            BALANCE_ERRORS,
            {1: InvalidParameters, 2: AuthenticationFailed, 4: AddressBlocked, 9: TooManyRequests},
        ),
        (
            STATUS_ERRORS,
            {1: InvalidParameters, 2: AuthenticationFailed, 3: MessageNotFound, 4: AddressBlocked, 9: TooManyRequests},
        ),
        (
            SENDING_ERRORS,
            {
                1: InvalidParameters,
                2: AuthenticationFailed,
                3: InsufficientFunds,
                4: AddressBlocked,
                5: InvalidDate,
                6: MessageForbidden,
                7: InvalidPhone,
                8: Undeliverable,
                9: TooManyRequests,
            },
        ),
    ],
)
def test_error_number_means_what_its_operation_says(
    errors: dict[int, type[ApiError]], kinds: dict[int, type[ApiError]]
) -> None:
    for code in range(1, 20):
        error = api_error(errors, code)
        assert type(error) is kinds.get(code, ApiError)
        assert error.code == code


@pytest.mark.parametrize(("error", "scope"), ERRORS)
def test_error_says_what_it_is_about(error: SmscError, scope: Scope) -> None:
    assert error.scope is scope
    assert error.replace(id="id-1").scope is scope
    assert pickle.loads(pickle.dumps(error)).scope is scope  # noqa: S301 - our own bytes


def test_every_exception_is_in_the_table_of_scopes() -> None:
    assert {type(error) for error, _ in ERRORS} == {type(error) for error, _, _ in TABLE}
