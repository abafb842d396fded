"""A request is stored and shown without its credentials."""

import pytest

from smsc_async._protocol import mask_credentials, mask_query

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"


def _envelope(body: str, header: str = "") -> bytes:
    start = f'<?xml version="1.0"?><e:Envelope xmlns:e="{SOAP}" xmlns:x="urn:x">'
    return f"{start}{header}<e:Body>{body}</e:Body></e:Envelope>".encode()


@pytest.mark.parametrize(
    "body",
    [
        "<send><login>demo</login><psw>canary</psw></send>",
        "<send><apikey>canary</apikey></send>",
        "<send><psw><![CDATA[canary]]></psw></send>",
        "<send><psw>can<!-- x -->ary</psw></send>",
        "<send><psw>&#99;anary</psw></send>",
        "<send><PSW>canary</PSW><x:Password>canary</x:Password></send>",
        "<send><psw><b>canary</b>canary<b/>canary</psw></send>",
        '<send><psw href="#a"/><other id="a">canary</other></send>',
        '<send><psw href="#a"/><other id="a"><b>canary</b></other></send>',
        "<send><query>cost=3&amp;psw=canary&amp;apikey=canary</query></send>",
        "<send><query>PSW=canary</query></send>",
        "<send><query>cost=3&amp;%70sw=canary&amp;apike%59=canary</query></send>",
        "<send><query>cost=3;psw=canary</query></send>",
        "<send><query> psw = canary&amp;+psw%20=canary&amp;psw[]=canary&amp;psw%5B0%5D=canary</query></send>",
        "<send><pass>canary</pass><pwd>canary</pwd></send>",
        '<send psw="canary" x:apikey="canary"/>',
        "<!-- canary --><send/>",
        "<?pi canary?><send/>",
        "<send><psw>canary</psw><pin>canary</pin><x:key y='canary'>a</x:key> canary<mes>psw canary</mes></send>",
        "<send psw=' canary '><pin>canary</pin><query>k=canary&amp;cost=3</query></send>",
    ],
)
def test_no_password_is_left(body: str) -> None:
    masked = mask_credentials(_envelope(body))
    assert "canary" not in masked
    assert masked.startswith("<e:Envelope")


def test_a_known_secret_is_masked_in_every_place() -> None:
    masked = mask_credentials(_envelope("<send><pin>canary</pin><key><b a='canary1'/>x</key></send>"), ["canary"])
    assert '<send><pin>***</pin><key><b a="***1"/>x</key></send>' in masked


def test_a_short_secret_is_masked_in_its_own_place_only() -> None:
    masked = mask_credentials(_envelope("<send><login>demo</login><psw>demo</psw></send>"), ["demo"])
    assert "<send><login>demo</login><psw>***</psw></send>" in masked


def test_the_rest_is_as_it_was() -> None:
    fields = '<phones>+7999</phones><mes>psw: 5 = 5 &amp; "a"</mes><psw/><query>cost=3&amp;maxsms=2</query>'
    body = f"<x:send>\n {fields}</x:send>"
    masked = mask_credentials(_envelope(body))
    assert body in masked


def test_the_header_has_no_text() -> None:
    header = "<e:Header><x:Security><x:Username>canary</x:Username><x:Nonce>canary</x:Nonce></x:Security></e:Header>"
    masked = mask_credentials(_envelope("<send/>", header))
    assert "canary" not in masked
    assert "<x:Nonce>***</x:Nonce>" in masked


@pytest.mark.parametrize("encoding", ["utf-16", "windows-1251"])
def test_another_encoding_is_read(encoding: str) -> None:
    text = f'<?xml version="1.0" encoding="{encoding}"?><send><psw>canary</psw><mes>Привет</mes></send>'
    assert mask_credentials(text.encode(encoding)) == "<send><psw>***</psw><mes>Привет</mes></send>"


@pytest.mark.parametrize("data", [b"", b"canary", b"<psw>canary", b'<!DOCTYPE a [<!ENTITY b "canary">]><a>&b;</a>'])
def test_what_cannot_be_read_is_not_stored(data: bytes) -> None:
    assert mask_credentials(data) == ""


@pytest.mark.parametrize("name", ["psw", "PSW", "%70sw", "+psw", "%20apikey", " password ", "psw[]", "psw%5B0%5D"])
def test_a_query_has_no_password_and_is_otherwise_as_it_was(name: str) -> None:
    assert mask_query(f"{name}=canary&cost=3") == f"{name}=***&cost=3"
    assert mask_query(f"cost=3&{name}=can=ary;%26&op=1") == f"cost=3&{name}=***&op=1"


@pytest.mark.parametrize("query", ["", "cost=3", "list=79990000000:Your password=1234&op=1", "mypsw=1", "psw"])
def test_a_query_without_a_password_is_as_it_was(query: str) -> None:
    assert mask_query(query) == query
