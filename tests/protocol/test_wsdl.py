"""The WSDL is written as the service wrote its own, read in any shape, and compared in sentences."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from smsc_async._model.exceptions import MalformedEnvelope
from smsc_async._protocol import wsdl
from smsc_async._protocol.contract import CONTRACT, Contract, Element, OperationContract
from smsc_async._protocol.document import Node, parse_document
from smsc_async._protocol.wsdl import differences, read_wsdl, target_namespace, write_wsdl

SNAPSHOT = Path(__file__).parent.parent.parent / "wsdl_snapshot" / "soap.wsdl"
REGENERATE = (
    'python -c "from pathlib import Path; from smsc_async._protocol.wsdl import CONTRACT, write_wsdl; '
    "Path('wsdl_snapshot/soap.wsdl').write_bytes(write_wsdl(CONTRACT, CONTRACT.namespace))\""
)
URL = "http://127.0.0.1:8900/sys/soap.php"
LOCAL = replace(CONTRACT, namespace=URL)


def _document(schema: str, *, messages: str = "", operations: str = "", attributes: str = "") -> bytes:
    return f"""<?xml version="1.0"?>
        <!-- prefixes that nobody else uses, as a stranger's tool would choose them -->
        <definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:q="urn:x" xmlns:s="http://www.w3.org/2001/XMLSchema"
            targetNamespace="urn:x" {attributes}>
          <types><s:schema targetNamespace="urn:x">{schema}</s:schema></types>
          {messages}
          <portType name="P">{operations}</portType>
        </definitions>""".encode()


def _service(schema: str) -> bytes:
    """One operation `ask`, from the element `asks` to the element `answers`."""
    return _document(
        schema,
        messages='<message name="In"><part name="p" element="q:asks"/></message>'
        '<message name="Out"><part name="p" element="q:answers"/></message>',
        operations='<operation name="ask"><input message="q:In"/><output message="q:Out"/></operation>',
    )


def _with_operation(name: str, **changes: object) -> Contract:
    changed = replace(CONTRACT.operations[name], **changes)  # type: ignore[arg-type]
    return replace(CONTRACT, operations={**CONTRACT.operations, name: changed})


def _with_type(name: str, *fields: Element) -> Contract:
    return replace(CONTRACT, types={**CONTRACT.types, name: fields})


def test_snapshot_is_the_contract_as_a_document() -> None:
    assert SNAPSHOT.read_bytes() == write_wsdl(CONTRACT, CONTRACT.namespace), f"regenerate it: {REGENERATE}"


def test_what_is_written_reads_back_as_the_same_contract() -> None:
    assert read_wsdl(write_wsdl(CONTRACT, URL)) == LOCAL


def test_address_is_the_namespace_and_every_soap_action() -> None:
    root = parse_document(write_wsdl(CONTRACT, URL))
    places: dict[str, set[str]] = {"targetNamespace": set(), "soapAction": set(), "location": set()}

    def visit(node: Node) -> None:
        for name in places.keys() & node.attributes.keys():
            places[name].add(node.attributes[name])
        for child in node.children:
            visit(child)

    visit(root)
    assert places == {name: {URL} for name in places}


def test_names_are_those_of_the_recorded_wsdl() -> None:
    root = parse_document(write_wsdl(CONTRACT, URL))
    (port_type,) = root.all("portType")
    (binding,) = root.all("binding")
    (service,) = root.all("service")
    (port,) = service.all("port")
    assert [node.attributes["name"] for node in (port_type, binding, service, port)] == [
        "ServiceSoap",
        "ServiceSoap",
        "Service",
        "ServiceSoap",
    ]
    assert {part.attributes["name"] for message in root.all("message") for part in message.all("part")} == {
        "parameters"
    }


def test_schema_leaves_its_children_unqualified() -> None:
    (types,) = parse_document(write_wsdl(CONTRACT, URL)).all("types")
    (schema,) = types.all("schema")
    assert "elementFormDefault" not in schema.attributes


@pytest.mark.parametrize("url", ["https://h.example/a?b=1&c=2", "http://[::1]:80/~'"])
def test_any_address_survives_writing(url: str) -> None:
    assert target_namespace(write_wsdl(CONTRACT, url)) == url


def test_an_address_that_xml_cannot_carry_is_refused() -> None:
    with pytest.raises(ValueError, match=r"U\+0001"):
        write_wsdl(CONTRACT, "https://h.example/\x01")


def test_target_namespace_is_found_in_a_wsdl_that_says_nothing_else() -> None:
    assert target_namespace(b'<w:definitions xmlns:w="http://schemas.xmlsoap.org/wsdl/" targetNamespace="urn:y"/>') == (
        "urn:y"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html><body>Not Found</body></html>",
        b"not xml",
        b"<definitions/>",
        b'<description xmlns="http://www.w3.org/ns/wsdl" targetNamespace="urn:y"/>',
        b'<!DOCTYPE x><definitions xmlns="http://schemas.xmlsoap.org/wsdl/" targetNamespace="urn:y"/>',
    ],
)
def test_what_is_not_a_wsdl_is_malformed(data: bytes) -> None:
    with pytest.raises(MalformedEnvelope):
        target_namespace(data)
    with pytest.raises(MalformedEnvelope):
        read_wsdl(data)


def test_a_wsdl_without_a_namespace_names_the_lack() -> None:
    with pytest.raises(MalformedEnvelope, match="no targetNamespace"):
        target_namespace(b'<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" targetNamespace=" "/>')


def test_a_wsdl_of_named_types_and_other_prefixes_is_read() -> None:
    contract = read_wsdl(
        _service("""
            <s:element name="asks" type="q:Asks"/>
            <s:element name="answers" type="q:Answers"/>
            <s:complexType name="Asks"><s:sequence><s:element name="a" type="s:int"/></s:sequence></s:complexType>
            <s:complexType name="Answers"><s:sequence><s:element name="r" type="q:R"/></s:sequence></s:complexType>
            <s:complexType name="R"><s:all><s:element name="x" type="s:string"/></s:all></s:complexType>
        """)
    )
    assert contract.operations["ask"] == OperationContract(
        request="asks",
        fields=(Element("a", required=True, type="int"),),
        response="answers",
        result="r",
        result_type="R",
        in_message="In",
        out_message="Out",
    )
    assert contract.types["R"] == (Element("x", required=True),)


def test_anonymous_types_references_and_choices_are_read() -> None:
    contract = read_wsdl(
        _service("""
            <s:element name="note" type="s:string"/>
            <s:element name="box"><s:complexType><s:sequence>
              <s:element name="in_box" type="s:string"/><s:element ref="q:box" minOccurs="0"/>
            </s:sequence></s:complexType></s:element>
            <s:element name="asks"><s:complexType><s:annotation/>
              <s:choice><s:element name="a" type="s:string"/><s:element ref="q:note"/></s:choice>
              <s:attribute name="unused"/>
            </s:complexType></s:element>
            <s:element name="answers"><s:complexType><s:sequence>
              <s:element name="r"><s:complexType><s:sequence maxOccurs="unbounded">
                <s:element name="free"/>
                <s:element ref="q:box"/>
                <s:element ref="other:stranger" minOccurs="0" maxOccurs="1"/>
              </s:sequence></s:complexType></s:element>
            </s:sequence></s:complexType></s:element>
        """)
    )
    ask = contract.operations["ask"]
    assert ask.fields == (Element("a"), Element("note"))
    assert (ask.result, ask.result_type) == ("r", "answers/r")
    assert contract.types["answers/r"] == (
        Element("free", required=True, repeated=True, type="anyType"),
        Element("box", required=True, repeated=True, type="<box>"),
        Element("stranger", repeated=True, type="anyType"),
    )
    assert contract.types["<box>"] == (Element("in_box", required=True), Element("box", type="<box>"))


def test_a_wsdl_that_describes_elsewhere_leaves_only_names() -> None:
    contract = read_wsdl(_service('<s:include schemaLocation="far.xsd"/><s:element name="answers" type="q:Far"/>'))
    assert contract.operations == {"ask": OperationContract("asks", (), "answers", "", "string", "In", "Out")}


def test_an_operation_without_body_elements_is_read_as_having_none() -> None:
    contract = read_wsdl(
        _document(
            "",
            messages='<message name="In"><part name="p" type="s:string"/></message>',
            operations='<operation name="ask"><input message="q:In"/></operation>',
        )
    )
    assert contract.operations == {"ask": OperationContract("", (), "", "", "string", "In", "")}


def test_the_first_description_of_an_operation_counts() -> None:
    soap, http = ('<operation name="ask"><input message="q:' + name + '"/></operation>' for name in ("In", "HttpIn"))
    assert read_wsdl(_document("", operations=soap + http)).operations["ask"].in_message == "In"


def test_the_same_contract_has_no_differences() -> None:
    assert differences(CONTRACT) == []
    assert differences(read_wsdl(write_wsdl(CONTRACT, URL)), LOCAL) == []


def test_the_order_of_fields_is_no_difference() -> None:
    assert differences(_with_operation("get_status", fields=CONTRACT.operations["get_status"].fields[::-1])) == []


def test_an_empty_wsdl_lacks_every_operation() -> None:
    assert differences(Contract(CONTRACT.namespace, {}, {})) == [
        f"The operation {name} is missing." for name in CONTRACT.operations
    ]


LOGIN, PSW, APIKEY, PHONE, ID, ALL = CONTRACT.operations["get_status"].fields
BALANCE, ERROR = CONTRACT.types["BalanceResponseType"]


@pytest.mark.parametrize(
    ("theirs", "sentences"),
    [
        (
            replace(CONTRACT, namespace="http://smsc.ru/sys/soap.php"),
            ["The namespace is http://smsc.ru/sys/soap.php, expected https://smscentre.com/sys/soap.php."],
        ),
        (
            replace(CONTRACT, namespace=""),
            ["The namespace is missing, expected https://smscentre.com/sys/soap.php."],
        ),
        (
            replace(
                CONTRACT,
                operations={
                    ("send_mms" if name == "send_sms2" else name): operation
                    for name, operation in CONTRACT.operations.items()
                },
            ),
            ["The operation send_sms2 is missing.", "There is an unknown operation send_mms."],
        ),
        (
            _with_operation("get_status", request="get_status", response="Status", result="result"),
            [
                "Operation get_status: the body element of the request is get_status, expected status.",
                "Operation get_status: the body element of the answer is Status, expected StatusResponse.",
                "Operation get_status: the element of the result is result, expected statusresult.",
            ],
        ),
        (
            _with_operation("get_status", fields=(LOGIN, PSW, PHONE, ID, ALL, Element("brand"))),
            [
                "Operation get_status: the field apikey is missing.",
                "Operation get_status: there is an unknown field brand.",
            ],
        ),
        (
            _with_operation(
                "get_status",
                fields=(
                    replace(LOGIN, required=True),
                    PSW,
                    APIKEY,
                    replace(PHONE, repeated=True),
                    replace(ID, required=False),
                    replace(ALL, type="int"),
                ),
            ),
            [
                "Operation get_status: the field login is required, expected optional.",
                "Operation get_status: the field phone is repeated, expected single.",
                "Operation get_status: the field id is optional, expected required.",
                "Operation get_status: the type of the field all is int, expected string.",
            ],
        ),
        (
            _with_type("BalanceResponseType", ERROR, Element("currency")),
            [
                "Type BalanceResponseType: the field balance is missing.",
                "Type BalanceResponseType: there is an unknown field currency.",
            ],
        ),
        (
            _with_type("Error", Element("phone", required=True), Element("status", required=True), Element("why")),
            ["Type Error: there is an unknown field why."],
        ),
        (
            _with_operation("get_balance", result_type="string"),
            ["Operation get_balance: the type of the result is string, expected BalanceResponseType."],
        ),
        (
            replace(
                CONTRACT, types={name: fields for name, fields in CONTRACT.types.items() if name != "CostResponseType"}
            ),
            ["The type CostResponseType is not described."],
        ),
    ],
)
def test_each_difference_is_a_sentence_that_names_it(theirs: Contract, sentences: list[str]) -> None:
    assert differences(theirs) == sentences


def test_a_type_of_another_name_is_still_compared_field_by_field() -> None:
    renamed = _with_operation("get_balance", result_type="Purse")
    assert differences(replace(renamed, types={**renamed.types, "Purse": (BALANCE,)})) == [
        "Operation get_balance: the type of the result is Purse, expected BalanceResponseType.",
        "Type Purse: the field error is missing.",
    ]


def test_types_that_hold_each_other_are_compared_once() -> None:
    operation = replace(CONTRACT.operations["get_balance"], result_type="Loop")
    ours = Contract("urn:x", {"ask": operation}, {"Loop": (Element("again", type="Loop"), Element("x"))})
    theirs = replace(ours, types={"Loop": (Element("again", type="Loop"),)})
    assert differences(theirs, ours) == ["Type Loop: the field x is missing."]


def test_a_contract_of_ours_that_leaves_a_type_out_expects_nothing_of_it() -> None:
    ours = replace(CONTRACT, types={})
    assert "Type BalanceResponseType: there is an unknown field balance." in differences(CONTRACT, ours)


def test_an_element_that_many_operations_share_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[Node] = []
    describe = wsdl._SchemaReader._describe

    def noting(self: object, node: Node, position: str) -> tuple[str, str]:
        read.append(node)
        return describe(self, node, position)  # type: ignore[arg-type]

    monkeypatch.setattr(wsdl._SchemaReader, "_describe", noting)
    fields = "".join(f'<s:element name="f{number}" type="s:string"/>' for number in range(20))
    contract = read_wsdl(
        _document(
            f'<s:element name="e"><s:complexType>{fields}</s:complexType></s:element>',
            messages='<message name="M"><part name="p" element="q:e"/></message>',
            operations="".join(
                f'<operation name="o{number}"><input message="q:M"/><output message="q:M"/></operation>'
                for number in range(50)
            ),
        )
    )
    assert [len(operation.fields) for operation in contract.operations.values()] == [20] * 50
    assert len(read) == 20


def test_elements_may_refer_to_each_other_however_long_the_chain() -> None:
    chain = "".join(
        f'<s:element name="e{number}"><s:complexType><s:element ref="q:e{number + 1}"/></s:complexType></s:element>'
        for number in range(3_000)
    )
    contract = read_wsdl(_document(f'{chain}<s:complexType name="T"><s:element ref="q:e0"/></s:complexType>'))
    assert contract.types["T"] == (Element("e0", required=True, type="<e0>"),)
    assert len(contract.types) == 3_001


@pytest.mark.parametrize("read", [read_wsdl, target_namespace])
def test_an_element_with_very_many_attributes_is_refused(read: Callable[[bytes], object]) -> None:
    attributes = " ".join(f'a{number}=""' for number in range(1_000))
    with pytest.raises(MalformedEnvelope, match="too many attributes"):
        read(_document("", attributes=attributes))


def test_only_the_root_is_read_for_the_namespace() -> None:
    assert not parse_document(_document(""), whole=False).children
