"""The OpenAPI documents of the examples are valid."""

import pytest
from fastapi import FastAPI
from jsonschema_rs import meta
from schemathesis.openapi import from_dict

from examples import fastapi_cancelled, fastapi_workers
from examples.fastapi_otp.app import app as otp
from examples.fastapi_shop.app import app as shop


@pytest.mark.slow
@pytest.mark.parametrize("app", [shop, otp, fastapi_cancelled.app, fastapi_workers.app])
def test_the_openapi_document_of_an_example_is_valid(app: FastAPI) -> None:
    document = app.openapi()
    for schema in document["components"]["schemas"].values():
        meta.validate(schema)
    from_dict(document).validate()
