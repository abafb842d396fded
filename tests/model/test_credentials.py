"""Credentials give their wire fields, and are never printed."""

import copy
import pickle
import traceback

import pytest

from smsc_async._model.credentials import ApiKey, Credentials, Login

KEY = ApiKey.model_validate({"key": "canary"})
LOGIN = Login.model_validate({"login": "canary", "password": "canary2"})


def test_api_key_and_login_give_their_own_fields() -> None:
    assert KEY.fields() == {"apikey": "canary"}
    assert LOGIN.fields() == {"login": "canary", "psw": "canary2"}


@pytest.mark.parametrize("credentials", [KEY, LOGIN])
def test_credentials_never_print(credentials: Credentials) -> None:
    shown = (repr(credentials), str(credentials), credentials.model_dump_json(), str(credentials.model_dump()))
    assert "canary" not in "".join(shown)


@pytest.mark.parametrize("credentials", [KEY, LOGIN])
def test_credentials_are_frozen_values(credentials: Credentials) -> None:
    assert pickle.loads(pickle.dumps(credentials)) == credentials  # noqa: S301 - our own bytes
    assert hash(copy.deepcopy(credentials)) == hash(credentials)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (ApiKey, {"key": ""}),
        (ApiKey, {"key": " \n"}),
        (ApiKey, {"key": ["canary"]}),
        (ApiKey, {"key": "canary", "password": "canary"}),
        (Login, {"login": "canary"}),
        (Login, {"login": "canary", "password": ""}),
        (Login, {"login": "", "password": "canary"}),
        (Login, {"login": "canary", "password": b"canary\xff"}),
    ],
)
def test_refused_credentials_are_not_repeated(kind: type[ApiKey | Login], fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|is missing|is not") as caught:
        kind.model_validate(fields)
    error = caught.value
    shown = (str(error), repr(error), *traceback.format_exception(error))
    assert "canary" not in "".join(shown)
