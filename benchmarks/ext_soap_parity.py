"""Send mutated requests to PHP's SoapServer and to the sandbox, and count the answers that differ.

    python -m benchmarks.ext_soap_parity --requests 6000 --seed 1

Each request is one of those that the client makes, or a probe of the test suite, with one to three mutations. PHP's
service is scripted to answer with the fields that the sandbox answered with, so answers are compared byte for byte,
with their HTTP status and Content-Type; where both executed the request, so are the arguments. Each difference is
printed by kind with its reason; one without a reason fails the run. It needs PHP with its soap extension.
"""

import argparse
import asyncio
import gzip
import json
import random
import re
import sys
import tempfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from smsc_async import ApiKey, GetBalance, GetCost, GetStatus, Login, Operation, Send, SendList
from smsc_async._protocol.binding import RequestFault, encode, receive
from smsc_async._protocol.contract import CONTRACT
from smsc_async._protocol.envelope import parse
from smsc_async.sandbox import Limits, Sandbox
from tests.interop.judges import PhpServer, missing_part
from tests.interop.probes import PROBES, SOAP_11, SOAP_12

DEMO: Final = Login.model_validate({"login": "demo", "password": "demo"})
KEY: Final = ApiKey.model_validate({"key": "demo"})
OPERATIONS: Final[tuple[Operation[Any], ...]] = (
    Send.model_validate({"to": "79000000001", "text": "Привет, <b>&", "id": 7}),
    Send.model_validate({"to": ["79000000001", "79000009006"], "text": "Hi\r\nHo", "cost": 3}),
    Send.model_validate({"to": "79000009006", "text": "Hi", "id": 8}),
    SendList.model_validate({"messages": [{"phone": "79000000001", "text": "One\nTwo"}], "id": 9}),
    GetCost.model_validate({"to": "79000000001", "text": "Hi"}),
    GetCost.model_validate({"to": "79000000001", "text": "Hi", "tinyurl": True}),
    GetStatus.model_validate({"ref": {"phone": "79000000001", "id": "7"}}),
    GetStatus.model_validate({"ref": {"phone": "79000000001", "id": "7"}, "detail": 2, "extra": {"x": "1"}}),
    GetBalance(),
)
XSI: Final = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
XSD: Final = 'xmlns:xsd="http://www.w3.org/2001/XMLSchema"'
TOKEN: Final = re.compile(r"<!--.*?-->|<!\[CDATA\[.*?\]\]>|<\?.*?\?>|<[^>]*>|[^<]+", re.DOTALL)
PIECES: Final = (
    *(" ", "\n\t", "x", "&amp;", "&#13;", "&#32;", "&#x20AC;", "&foo;", "\x01", "]]>", "😀"),
    *("<!-- c -->", "<?p q?>", "<![CDATA[y]]>", "<![CDATA[ ]]>", "<![CDATA[]]>", "<![CDATA[<&]]>"),
    *("<b/>", "<b>c</b>", "<login>x</login>", "<id/>", "<id>  </id>", "<phone>7</phone>", "<all><b/></all>"),
    *('<id nil="1">x</id>', f'<mes {XSI} xsi:nil="true"/>', f'<id {XSI} {XSD} xsi:type="xsd:string">5</id>'),
    *('<mes href="#q"/>', '<mes id="q">z</mes>', '<phone href="http://x/"/>', '<q:id xmlns:q="urn:q">3</q:id>'),
    *(
        "\u00a0",
        "\u2028",
        "&#160;",
        "&#0;",
        "&#xD800;",
        "&lt;",
        "<?xml?>",
        "<!---->",
        "<!-- -- -->",
        "<![CDATA[",
        "</x>",
    ),
    *(f'<all {XSI} {XSD} xsi:type="xsd:{kind}">1</all>' for kind in ("int", "boolean", "date", "none")),
    *("<id>1<!-- c -->2</id>", "<mes> <!-- c --> a </mes>", "<mes>\n<?p?>\n<![CDATA[a]]>\n</mes>", "<id>&#32;</id>"),
    "<mes>" + "long " * 3_000 + "</mes>",
    "<x>" * 40 + "</x>" * 40,
)
HEADERS: Final = (
    "<@:Header/>",
    "<@:Header> <!-- c --></@:Header>",
    '<@:Header x="1"/>',
    '<@:Header><h xmlns="urn:h">1</h></@:Header>',
    *(f'<@:Header><h:x xmlns:h="urn:h" @:mustUnderstand="{value}"/></@:Header>' for value in ("0", "1", "true", "x")),
    *(
        f'<@:Header><h:x xmlns:h="urn:h" @:mustUnderstand="1" @:{role}="{value}"/></@:Header>'
        for role in ("actor", "role")
        for value in ("urn:z", "http://schemas.xmlsoap.org/soap/actor/next", f"{SOAP_12}/role/next")
    ),
    '<@:Header><@:x mustUnderstand="1"/></@:Header>',
    "<@:Header>text</@:Header>",
    '<@:Header><h:x xmlns:h="urn:h" href="#none"/></@:Header>',
    "<@:Header><status/><get_status/></@:Header>",
    '<@:Header><h:x xmlns:h="urn:h" @:encodingStyle="urn:z"/></@:Header>',
)
ATTRIBUTES: Final = (
    *(
        'x="1"',
        'xml:lang="ru"',
        'xml:space="preserve"',
        'nil="true"',
        'id="q"',
        'href="#q"',
        'href="#none"',
        'href="q"',
    ),
    *(f'{XSI} xsi:nil="false"', f'{XSI} xsi:schemaLocation="a b"', f'{XSI} {XSD} xsi:type="xsd:string"'),
    *(f'xmlns:s="{soap}" s:encodingStyle="{style}"' for soap in (SOAP_11, SOAP_12) for style in ("urn:z",)),
    f'xmlns:s="{SOAP_11}" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"',
    f'xmlns:s="{SOAP_12}" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"',
    'xmlns=""',
    'xmlns:e="urn:e"',
    'x="1" x="2"',
    'x="<"',
    "x",
    'xml:id="q"',
    'xmlns="urn:other"',
)
ENCODINGS: Final = ("utf-8", "windows-1251", "utf-16", "iso-8859-5", "koi8-r", "us-ascii", "x-none")


@dataclass(frozen=True)
class Case:
    """A request.

    Attributes:
        body: The document.
        headers: The HTTP headers.
        steps: The names of its mutations.
    """

    body: bytes
    headers: dict[str, str]
    steps: tuple[str, ...]


def _tokens(text: str, dice: random.Random, change: Callable[[list[str], int], None]) -> str:
    tokens = TOKEN.findall(text) or [text]
    change(tokens, dice.randrange(len(tokens)))
    return "".join(tokens)


def _insert(text: str, dice: random.Random) -> str:
    return _tokens(text, dice, lambda tokens, at: tokens.insert(at, dice.choice(PIECES)))


def _into_field(text: str, dice: random.Random) -> str:
    places = [found.end() for found in re.finditer(r"<(?:phones?|mes|id|all|query|login|psw|sender|time)>", text)]
    if not places:
        return text
    at = dice.choice(places)
    return text[:at] + dice.choice(PIECES) + text[at:]


def _drop(text: str, dice: random.Random) -> str:
    return _tokens(text, dice, lambda tokens, at: tokens.__setitem__(at, ""))


def _double(text: str, dice: random.Random) -> str:
    def change(tokens: list[str], at: int) -> None:
        # A whole element where there is a closing tag of its name behind it, else the token alone.
        name = re.match(r"<([\w:.-]+)[^>/]*>", tokens[at])
        end = next((i for i in range(at, len(tokens)) if name and tokens[i] == f"</{name[1]}>"), at)
        tokens[at:at] = tokens[at : end + 1]

    return _tokens(text, dice, change)


def _swap(text: str, dice: random.Random) -> str:
    def change(tokens: list[str], at: int) -> None:
        other = dice.randrange(len(tokens))
        tokens[at], tokens[other] = tokens[other], tokens[at]

    return _tokens(text, dice, change)


def _attribute(text: str, dice: random.Random) -> str:
    tags = list(re.finditer(r"<[\w:.-]+", text))
    if not tags:
        return text
    at = dice.choice(tags).end()
    return f"{text[:at]} {dice.choice(ATTRIBUTES)}{text[at:]}"


def _header(text: str, dice: random.Random) -> str:
    found = re.search(r"<([\w.-]+):Body", text)
    if not found:
        return text
    return text[: found.start()] + dice.choice(HEADERS).replace("@", found[1]) + text[found.start() :]


def _beside_body(text: str, dice: random.Random) -> str:
    place = dice.choice(
        (r"<[\w.-]+:Body[^>]*>", r"</[\w.-]+:Body>", r"<[\w.-]+:Envelope[^>]*>", r"</[\w.-]+:Envelope>")
    )
    found = re.search(place, text)
    if not found:
        return text
    at = dice.choice((found.start(), found.end()))
    return text[:at] + dice.choice((*PIECES, '<x xmlns="urn:x"/>')) + text[at:]


def _rename(text: str, dice: random.Random) -> str:
    old = dice.choice(
        ("login", "phone", "phones", "mes", "id", "status", "send", "Body", "Envelope", "ns1", "SOAP-ENV")
    )
    return text.replace(old, dice.choice(("LOGIN", "x", "get_status", "balance", "Header", "all", "query", "a.b")))


def _soap_12(text: str, _: random.Random) -> str:
    return text.replace(SOAP_11, SOAP_12)


def _namespace(text: str, dice: random.Random) -> str:
    found = re.findall(r"""(?<=["'])(?:https?://|urn:)[^"']*""", text)
    return text.replace(dice.choice(found), dice.choice(("urn:other", "", SOAP_11, SOAP_12))) if found else text


def _quote(text: str, dice: random.Random) -> str:
    name = dice.choice(("phone", "mes", "id", "login"))
    return re.sub(rf"<{name}>([^<]*)</{name}>", rf"<{name}> <![CDATA[\1]]>\n</{name}>", text)


def _indent(text: str, _: random.Random) -> str:
    return text.replace("><", ">\n  <")


def _doctype(text: str, dice: random.Random) -> str:
    types = ("<!DOCTYPE x>", '<!DOCTYPE x [<!ENTITY a "b">]>', "<!DOCTYPE")
    return re.sub(r"^(<\?.*?\?>)?", lambda found: found[0] + dice.choice(types), text, count=1)


MUTATIONS: Final[dict[str, Callable[[str, random.Random], str]]] = {
    "insert": _insert,
    "into a field": _into_field,
    "drop": _drop,
    "double": _double,
    "swap": _swap,
    "attribute": _attribute,
    "header": _header,
    "beside the body": _beside_body,
    "rename": _rename,
    "SOAP 1.2": _soap_12,
    "namespace": _namespace,
    "CDATA": _quote,
    "indent": _indent,
    "doctype": _doctype,
}


def _encode(text: str, dice: random.Random) -> tuple[bytes, str]:
    encoding = dice.choice(ENCODINGS)
    text = re.sub(r"^<\?.*?\?>\s*", "", text)
    name = "utf-8" if encoding == "x-none" else encoding
    declared = dice.choice(
        (f'<?xml version="1.0" encoding="{encoding}"?>', f"<?xml version='1.0' encoding='{encoding}' ?>\n")
    )
    return (declared + text).encode(name, "xmlcharrefreplace"), encoding


def _damage(body: bytes, dice: random.Random) -> tuple[bytes, str]:
    kind = dice.choice(("cut", "byte", "BOM", "space", "junk"))
    at = dice.randrange(len(body) + 1)
    if kind == "cut":
        return body[:at], kind
    if kind == "byte":
        return body[:at] + bytes([dice.randrange(256)]) + body[at + 1 :], kind
    before = {"BOM": b"\xef\xbb\xbf", "space": b"\r\n ", "junk": b""}[kind]
    return before + body + (b"\n<!-- c -->" if dice.random() < 0.5 else b"junk" if kind == "junk" else b""), kind


def cases(seed: int, count: int, namespace: str) -> Iterator[Case]:
    """Yield the requests; the same seed yields the same."""
    dice = random.Random(seed)
    plain = {"Content-Type": "text/xml; charset=utf-8"}
    bases = [encode(operation, who, namespace).body.decode() for operation in OPERATIONS for who in (DEMO, KEY)]
    bases += [body.decode() for probe in PROBES if _is_text(body := probe.body(namespace))]
    for _ in range(count):
        text, steps = dice.choice(bases), []
        for _ in range(dice.choice((1, 1, 1, 2, 2, 3))):
            name = dice.choice(list(MUTATIONS))
            steps.append(name)
            text = MUTATIONS[name](text, dice)
        body, headers = text.encode(), plain
        if dice.random() < 0.1:
            body, name = _encode(text, dice)
            steps.append(name)
        if dice.random() < 0.1:
            body, name = _damage(body, dice)
            steps.append(name)
        if dice.random() < 0.05:
            name = dice.choice(("gzip", "x-gzip", "deflate", "GZIP", "br", "identity"))
            headers = {**plain, "Content-Encoding": name}
            pack = gzip.compress if "gzip" in name else zlib.compress if name == "deflate" else bytes
            body = pack(body)
            steps.append(name)
        yield Case(body, headers, tuple(steps))


def _is_text(body: bytes) -> bool:
    try:
        return "encoding=" not in body.decode()
    except UnicodeDecodeError:
        return False


REASONS: Final[tuple[tuple[bytes, str], ...]] = (
    (rb"\x00", "after a document, the libxml2 of PHP overlooks a NUL"),
    (rb"<status/>\s*<get_status/>", "PHP calls a method that a header block is named after"),
    (rb"xsi:type=", "xsi:type changes the type of a field, or of the call, for PHP; the sandbox takes text"),
)
NIL: Final = "PHP calls the method without an object if the call itself is nil; the sandbox without fields"


def kind_of(case: Case, ours: tuple[Any, ...], php: tuple[Any, ...]) -> str | None:
    """Return the reason of a difference, None if it is unknown."""
    if len(php) == 1 and php[0][1:] == (None,) and ours[0][1:] == ({},):
        return NIL
    return next((reason for pattern, reason in REASONS if re.search(pattern, case.body)), None)


def _script(php: PhpServer, status: int, body: bytes) -> None:
    """Let PHP's service answer with the fields that the sandbox has answered with, if it has."""
    php.answer()
    if status == 200 and body:
        envelope = parse(body)
        (result,) = envelope.fields.values()
        script: dict[str, Any] = {
            name: {"fields": result}
            for name, operation in CONTRACT.operations.items()
            if operation.response == envelope.element
        }
        php.answer(**script)


def _arguments(case: Case, namespace: str) -> object:
    try:
        incoming = receive(case.body, namespaces=(namespace,))
    except RequestFault:
        return None
    return incoming.method, incoming.fields


async def compare(php: PhpServer, seed: int, count: int) -> tuple[Counter[str], list[tuple[Case, object, object]]]:
    """Return the differences by kind, and those of no known kind."""
    kinds: Counter[str] = Counter()
    unknown: list[tuple[Case, object, object]] = []
    sandbox = Sandbox(limits=Limits.off())
    async with httpx.AsyncClient(timeout=10) as network, httpx.AsyncClient(transport=sandbox.transport()) as client:
        for case in cases(seed, count, php.url):
            answer = await client.post(php.url, content=case.body, headers=case.headers)
            ours: tuple[Any, ...] = answer.status_code, answer.headers.get("Content-Type"), answer.content
            _script(php, answer.status_code, answer.content)
            php.forget()
            try:
                other = await network.post(php.url, content=case.body, headers=case.headers)
            except httpx.HTTPError as error:
                theirs: tuple[Any, ...] = (type(error).__name__,)
            else:
                theirs = other.status_code, other.headers.get("Content-Type"), other.content
            if ours == theirs and "Content-Encoding" not in case.headers and (calls := php.calls()):
                ours, theirs = (_arguments(case, php.url),), ((calls[0].method, calls[0].fields),)
            if ours != theirs:
                kind = kind_of(case, ours, theirs)
                kinds[kind or "UNKNOWN"] += 1
                if kind is None:
                    unknown.append((case, ours, theirs))
    return kinds, unknown


def main() -> None:
    """Compare, print the table, and fail where a difference has no reason."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=6_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=5, help="how many differences without a reason to print")
    options = parser.parse_args()
    if reason := missing_part():
        sys.exit(reason)
    with tempfile.TemporaryDirectory() as directory, PhpServer(Path(directory)) as php:
        kinds, unknown = asyncio.run(compare(php, options.seed, options.requests))
    for kind, number in kinds.most_common():
        sys.stdout.write(f"{number:5}  {kind}\n")
    sys.stdout.write(f"{sum(kinds.values())} of {options.requests} answers differ\n")
    for case, ours, theirs in unknown[: options.show]:
        shown = {"steps": case.steps, "body": repr(case.body), "sandbox": repr(ours), "PHP": repr(theirs)}
        sys.stdout.write(json.dumps(shown, indent=1, ensure_ascii=False) + "\n")
    sys.exit(1 if unknown else 0)


if __name__ == "__main__":
    main()
