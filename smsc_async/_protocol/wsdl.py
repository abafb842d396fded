"""The service's WSDL: write one from a contract, read one into a contract, and compare it with ours.

WSDL 1.1, document/literal and bare, with unqualified children, which is how the service described itself. The
reader uses local names, so that any prefixes and any nesting of the schema are accepted.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from smsc_async._model import MalformedEnvelope

from .contract import CONTRACT, Contract, Element, OperationContract
from .document import Node, build_document, parse_document

__all__ = ["differences", "read_wsdl", "target_namespace", "write_wsdl"]

_NAMESPACES: Final = {
    "wsdl": "http://schemas.xmlsoap.org/wsdl/",
    "soap": "http://schemas.xmlsoap.org/wsdl/soap/",
    "xsd": "http://www.w3.org/2001/XMLSchema",
}
_SOAP_OVER_HTTP: Final = "http://schemas.xmlsoap.org/soap/http"
_PORT_TYPE: Final = "ServiceSoap"  # the service uses one name for its portType, its binding and its port


def write_wsdl(contract: Contract, url: str, *, location: str | None = None) -> bytes:
    """Return the WSDL of a service at this URL, which is also its targetNamespace and each of its SOAPActions.

    Args:
        contract: The operations.
        url: The URL.
        location: The URL to which requests are posted, if it is another one.
    """
    root = _node(
        "wsdl:definitions",
        _node("wsdl:types", _node("xsd:schema", *_schema(contract), targetNamespace=url)),
        *_messages(contract),
        _node(
            "wsdl:portType",
            *(_port_operation(name, operation) for name, operation in contract.operations.items()),
            name=_PORT_TYPE,
        ),
        _node(
            "wsdl:binding",
            _node("soap:binding", style="document", transport=_SOAP_OVER_HTTP),
            *(_bound_operation(name, url) for name in contract.operations),
            name=_PORT_TYPE,
            type=f"tns:{_PORT_TYPE}",
        ),
        _node(
            "wsdl:service",
            _node(
                "wsdl:port",
                _node("soap:address", location=location or url),
                name=_PORT_TYPE,
                binding=f"tns:{_PORT_TYPE}",
            ),
            name="Service",
        ),
        name="Service",
        targetNamespace=url,
    )
    return build_document(root, {**{uri: prefix for prefix, uri in _NAMESPACES.items()}, url: "tns"})


def _node(name: str, /, *children: Node, **attributes: str) -> Node:
    prefix, _, tag = name.partition(":")
    return Node(tag, _NAMESPACES[prefix], attributes, children)


def _schema(contract: Contract) -> Iterator[Node]:
    def sequence(fields: Iterable[Element]) -> Node:
        return _node("xsd:sequence", *(_field(field, contract.types) for field in fields))

    for operation in contract.operations.values():
        result = Element(operation.result, required=True, type=operation.result_type)
        for name, fields in ((operation.request, operation.fields), (operation.response, (result,))):
            yield _node("xsd:element", _node("xsd:complexType", sequence(fields)), name=name)
    for name, fields in contract.types.items():
        yield _node("xsd:complexType", sequence(fields), name=name)


def _field(field: Element, types: Mapping[str, object]) -> Node:
    occurs = {} if field.required else {"minOccurs": "0"}
    if field.repeated:
        occurs["maxOccurs"] = "unbounded"
    prefix = "tns" if field.type in types else "xsd"
    return _node("xsd:element", name=field.name, type=f"{prefix}:{field.type}", **occurs)


def _messages(contract: Contract) -> Iterator[Node]:
    for operation in contract.operations.values():
        for name, element in (
            (operation.in_message, operation.request),
            (operation.out_message, operation.response),
        ):
            yield _node("wsdl:message", _node("wsdl:part", name="parameters", element=f"tns:{element}"), name=name)


def _port_operation(name: str, operation: OperationContract) -> Node:
    return _node(
        "wsdl:operation",
        _node("wsdl:input", message=f"tns:{operation.in_message}"),
        _node("wsdl:output", message=f"tns:{operation.out_message}"),
        name=name,
    )


def _bound_operation(name: str, url: str) -> Node:
    return _node(
        "wsdl:operation",
        _node("soap:operation", soapAction=url, style="document"),
        _node("wsdl:input", _node("soap:body", use="literal")),
        _node("wsdl:output", _node("soap:body", use="literal")),
        name=name,
    )


def target_namespace(data: bytes) -> str:
    """Return the targetNamespace of a WSDL; its other content is not checked.

    Raises:
        MalformedEnvelope: It isn't a WSDL, or it has no targetNamespace.
    """
    namespace = _definitions(data, whole=False).attributes.get("targetNamespace", "").strip()
    if not namespace:
        raise MalformedEnvelope("the WSDL has no targetNamespace")
    return namespace


def read_wsdl(data: bytes) -> Contract:
    """Read a WSDL; parts that it omits or imports from elsewhere are missing in the contract.

    Raises:
        MalformedEnvelope: It isn't a WSDL.
    """
    root = _definitions(data)
    schema = _SchemaReader([schema for types in root.all("types") for schema in types.all("schema")])
    body_elements = {
        _name(message): _local(part.attributes["element"])
        for message in root.all("message")
        for part in message.all("part")
        if "element" in part.attributes
    }
    operations: dict[str, OperationContract] = {}
    for operation in (operation for port_type in root.all("portType") for operation in port_type.all("operation")):
        # If a WSDL describes an operation for SOAP and for plain HTTP, SOAP comes first.
        operations.setdefault(_name(operation), _read_operation(operation, body_elements, schema))
    return Contract(root.attributes.get("targetNamespace", ""), operations, schema.types)


def _definitions(data: bytes, *, whole: bool = True) -> Node:
    root = parse_document(data, whole=whole)
    if (root.tag, root.namespace) != ("definitions", _NAMESPACES["wsdl"]):
        raise MalformedEnvelope("the document is not a WSDL 1.1")
    return root


def _read_operation(node: Node, body_elements: Mapping[str, str], schema: "_SchemaReader") -> OperationContract:
    in_message, out_message = (
        next((_local(each.attributes.get("message", "")) for each in node.all(tag)), "") for tag in ("input", "output")
    )
    request, response = body_elements.get(in_message, ""), body_elements.get(out_message, "")
    results = schema.fields_of(response) or (Element(""),)
    return OperationContract(
        request=request,
        fields=schema.fields_of(request),
        response=response,
        result=results[0].name,
        result_type=results[0].type,
        in_message=in_message,
        out_message=out_message,
    )


def _name(node: Node) -> str:
    return node.attributes.get("name", "")


def _local(name: str) -> str:
    return name.strip().rpartition(":")[2]


_GROUPS: Final = frozenset({"complexType", "sequence", "all", "choice", "complexContent", "extension", "restriction"})


_NOTHING: Final = Node("", "", {})


class _SchemaReader:
    """The fields of a schema's types; an anonymous type is named after its position.

    Each element and each type is read once, however often it is used.
    """

    def __init__(self, schemas: Iterable[Node]) -> None:
        self.types: dict[str, tuple[Element, ...]] = {}
        self._elements = {_name(node): node for schema in schemas for node in schema.all("element")}
        self._fields_of: dict[str, tuple[Element, ...]] = {}
        self._unread: list[tuple[str, Node]] = []
        for node in (node for schema in schemas for node in schema.all("complexType")):
            self._add(_name(node), node)
        self._read_types()

    def fields_of(self, element: str) -> tuple[Element, ...]:
        """Return the fields of a global element, () if it is unknown."""
        if element not in self._fields_of:
            node = self._elements.get(element, _NOTHING)
            if "type" in node.attributes:
                self._fields_of[element] = self.types.get(_local(node.attributes["type"]), ())
            else:
                self._fields_of[element] = tuple(self._fields(node, element))
                self._read_types()
        return self._fields_of[element]

    def _add(self, name: str, node: Node) -> None:
        if name not in self.types:
            self.types[name] = ()  # a type may contain itself, so its name is added before it is read
            self._unread.append((name, node))

    def _read_types(self) -> None:
        """Read the types that were found; a list instead of recursion, as each may lead to another."""
        while self._unread:
            name, node = self._unread.pop()
            self.types[name] = tuple(self._fields(node, name))

    def _fields(self, node: Node, position: str, *, required: bool = True, repeated: bool = False) -> Iterator[Element]:
        for child in node.children:
            must = required and child.attributes.get("minOccurs") != "0" and child.tag != "choice"
            many = repeated or child.attributes.get("maxOccurs", "1") not in {"0", "1"}
            if child.tag == "element":
                name, kind = self._describe(child, position)
                yield Element(name, must, many, kind)
            elif child.tag in _GROUPS:
                yield from self._fields(child, position, required=must, repeated=many)

    def _describe(self, node: Node, position: str) -> tuple[str, str]:
        name, kind = _name(node), f"{position}/{_name(node)}"
        if "ref" in node.attributes:
            name = _local(node.attributes["ref"])
            node, kind = self._elements.get(name, node), f"<{name}>"
        if "type" in node.attributes:
            return name, _local(node.attributes["type"])
        if not any(node.all("complexType")):
            return name, "anyType"
        self._add(kind, node)
        return name, kind


def differences(theirs: Contract, ours: Contract = CONTRACT) -> list[str]:
    """Return a sentence for each difference of their contract from ours; the order of fields doesn't matter."""
    return list(_differences(theirs, ours))


def _differences(theirs: Contract, ours: Contract) -> Iterator[str]:
    yield from _other("The", "namespace", theirs.namespace, ours.namespace)
    results: dict[tuple[str, str], None] = {}
    for name, our_operation in ours.operations.items():
        their_operation = theirs.operations.get(name)
        if their_operation is None:
            yield f"The operation {name} is missing."
            continue
        yield from _operation_differences(name, their_operation, our_operation)
        results[their_operation.result_type, our_operation.result_type] = None
    for name in theirs.operations:
        if name not in ours.operations:
            yield f"There is an unknown operation {name}."
    yield from _type_differences(results, theirs, ours)


def _other(owner: str, noun: str, their_value: str, our_value: str) -> Iterator[str]:
    if their_value != our_value:
        yield f"{owner} {noun} is {their_value or 'missing'}, expected {our_value}."


def _operation_differences(name: str, theirs: OperationContract, ours: OperationContract) -> Iterator[str]:
    owner = f"Operation {name}: the"
    yield from _other(owner, "body element of the request", theirs.request, ours.request)
    yield from _other(owner, "body element of the answer", theirs.response, ours.response)
    yield from _other(owner, "element of the result", theirs.result, ours.result)
    yield from _other(owner, "type of the result", theirs.result_type, ours.result_type)
    yield from _field_differences(f"Operation {name}", theirs.fields, ours.fields)


def _type_differences(pairs: Iterable[tuple[str, str]], theirs: Contract, ours: Contract) -> Iterator[str]:
    waiting = list(pairs)
    for their_name, our_name in waiting:
        their_fields = theirs.types.get(their_name)
        if their_fields is None:
            if their_name == our_name:  # a different name was reported where it is used
                yield f"The type {their_name} is not described."
            continue
        our_fields = ours.types.get(our_name, ())
        yield from _field_differences(f"Type {their_name}", their_fields, our_fields)
        their_types = {field.name: field.type for field in their_fields}
        nested = [(their_types[each.name], each.type) for each in our_fields if each.name in their_types]
        waiting += [pair for pair in nested if pair[1] in ours.types and pair not in waiting]


def _field_differences(owner: str, theirs: Iterable[Element], ours: Iterable[Element]) -> Iterator[str]:
    their_fields, our_fields = {field.name: field for field in theirs}, {field.name: field for field in ours}
    for name, our_field in our_fields.items():
        their_field = their_fields.get(name)
        if their_field is None:
            yield f"{owner}: the field {name} is missing."
            continue
        for (noun, they), (_, we) in zip(_facets(their_field), _facets(our_field), strict=True):
            yield from _other(f"{owner}: the", noun, they, we)
    for name in their_fields:
        if name not in our_fields:
            yield f"{owner}: there is an unknown field {name}."


def _facets(field: Element) -> Iterator[tuple[str, str]]:
    yield f"field {field.name}", "required" if field.required else "optional"
    yield f"field {field.name}", "repeated" if field.repeated else "single"
    yield f"type of the field {field.name}", field.type
