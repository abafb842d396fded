"""How ext-soap reads a request, step by step and with its Faults, so that the sandbox refuses what PHP refuses."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from pydantic import JsonValue

from smsc_async._model import MalformedEnvelope

from .envelope import DoctypeRefused, SoapVersion, child_elements, read_root, split_tag, text_nodes

__all__ = ["ReceivedRequest", "RequestFault", "read_request"]

_SOAP_12: Final = SoapVersion.V12.namespace
_ENCODING: Final = {
    SoapVersion.V11: "http://schemas.xmlsoap.org/soap/encoding/",
    SoapVersion.V12: "http://www.w3.org/2003/05/soap-encoding",
}
_ROLE: Final = {SoapVersion.V11: "actor", SoapVersion.V12: "role"}
_OUR_ROLES: Final = {
    SoapVersion.V11: {"http://schemas.xmlsoap.org/soap/actor/next"},
    SoapVersion.V12: {f"{_SOAP_12}/role/next", f"{_SOAP_12}/role/ultimateReceiver"},
}


class RequestFault(Exception):
    """A request that the server answers with a Fault.

    Attributes:
        code: The Fault's code.
        string: Its reason.
        version: The version of SOAP to answer in.
    """

    def __init__(self, code: str, string: str, version: SoapVersion = SoapVersion.V11) -> None:
        super().__init__(string)
        self.code = code
        self.string = string
        self.version = version


class ReceivedRequest:
    """A request in an envelope that ext-soap accepts.

    Args:
        version: The version of SOAP.
        header: The Header, None for none.
        calls: The elements of the Body; the first one counts.

    Attributes:
        version: The version of SOAP.
        namespace: The namespace of the body element, "" for none.
        element: Its local name.
    """

    def __init__(self, version: SoapVersion, header: Any, calls: Sequence[Any]) -> None:
        self.version = version
        self.namespace, self.element = split_tag(calls[0].tag)
        self._header = header
        self._calls = calls

    def fields(self, names: Iterable[str]) -> dict[str, JsonValue]:
        """Return the children with these names: text, None for nil, a list for a repeated one.

        Raises:
            RequestFault: A child is no single piece of text, or refers to no element; or there is a second call.
        """
        fields = self._fields(self._resolved(self._calls[0]), names)
        if len(self._calls) > 1:
            raise RequestFault("Client", "Error cannot find parameter", self.version)
        return fields

    def _fields(self, element: Any, names: Iterable[str]) -> dict[str, JsonValue]:
        if _is_nil(element):
            return {}
        found: dict[str, list[Any]] = {}
        for child in child_elements(element):
            found.setdefault(split_tag(child.tag)[1], []).append(child)
        fields: dict[str, JsonValue] = {}
        for name in names:
            if name in found:
                texts: list[JsonValue] = [self._text(each) for each in found[name]]
                fields[name] = texts if len(texts) > 1 else texts[0]
        return fields

    def check_header(self) -> bool:
        """Return whether a header block must be understood; there is none that the service understands.

        Raises:
            RequestFault: The header is wrong.
        """
        if self._header is None:
            return False
        _check_attributes(self._header, "Header", self.version)
        required = [self._must_be_understood(block) for block in child_elements(self._header)]
        return any(required)  # of all blocks, as each may be wrong

    def _must_be_understood(self, block: Any) -> bool:
        _check_encoding(block, self.version)
        role = _attribute(block, _ROLE[self.version], self.version.namespace)
        if role is not None and role not in _OUR_ROLES[self.version]:
            return False
        value = _attribute(block, "mustUnderstand", self.version.namespace)
        if value not in {None, "0", "1", "false", "true"}:
            raise RequestFault("Client", "mustUnderstand value is not boolean", self.version)
        if next(child_elements(self._resolved(block)), None) is None:
            self._text(block)
        return value in {"1", "true"}

    def _text(self, child: Any) -> str | None:
        child = self._resolved(child)
        if _is_nil(child):
            return None
        nodes = text_nodes(child)
        if len(nodes) > 1 or next(child_elements(child), None) is not None:
            raise self._encoding("Violation of encoding rules")
        return nodes[0] if nodes else ""

    def _resolved(self, element: Any) -> Any:
        """Return the element that `href` refers to, which toolkits for RPC write."""
        href = element.get("href")
        if not href:
            return element
        if not href.startswith("#"):
            raise self._encoding(f"External reference '{href}'")
        for each in element.getroottree().iter("*"):
            if next((value for name, value in _attributes(each) if name == "id"), None) == href[1:]:
                return each
        raise self._encoding(f"Unresolved reference '{href}'")

    def _encoding(self, problem: str) -> RequestFault:
        return RequestFault("Server", f"SOAP-ERROR: Encoding: {problem}", self.version)


def read_request(data: bytes) -> ReceivedRequest:
    """Read the envelope of a request.

    Raises:
        RequestFault: It is one that ext-soap answers with this Fault.
    """
    try:
        root = read_root(data, exact=True)
    except DoctypeRefused as error:
        raise RequestFault("Server", "DTD are not supported by SOAP", error.version) from None
    except MalformedEnvelope:
        raise RequestFault("Client", "Bad Request") from None
    version = next((version for version in SoapVersion if version.envelope == root.tag), None)
    if version is None:
        raise RequestFault("VersionMismatch", "Wrong Version")
    _check_attributes(root, "Envelope", version)
    children = list(child_elements(root))
    header = children.pop(0) if children and children[0].tag == version.header else None
    body = children.pop(0) if children and children[0].tag == version.body else None
    if body is None:
        raise RequestFault("Client", "Body must be present in a SOAP envelope", version)
    _check_attributes(body, "Body", version)
    if children and version is SoapVersion.V12:
        raise RequestFault("Client", "A SOAP 1.2 envelope can contain only Header and Body", version)
    calls = list(child_elements(body))
    if not calls:
        raise RequestFault("Client", 'looks like we got "Body" without function call', version)
    _check_encoding(calls[0], version)
    return ReceivedRequest(version, header, calls)


def _check_attributes(element: Any, name: str, version: SoapVersion) -> None:
    """Check the attributes of an element of SOAP itself; in SOAP 1.1, those of Body are free."""
    for key, value in element.attrib.items():
        if not key.startswith("{"):
            if name != "Body" or version is SoapVersion.V12:
                words = f"A SOAP {name} element cannot have non Namespace qualified attributes"
                raise RequestFault("Client", words, version)
        elif key == f"{{{_SOAP_12}}}encodingStyle":
            if version is SoapVersion.V12:
                raise RequestFault("Client", f"encodingStyle cannot be specified on the {name}", version)
            if value != _ENCODING[SoapVersion.V11]:
                raise RequestFault("Client", "Unknown data encoding style", version)


def _check_encoding(element: Any, version: SoapVersion) -> None:
    style = _attribute(element, "encodingStyle", version.namespace)
    if style is not None and style != _ENCODING[version]:
        code = "Client" if version is SoapVersion.V11 else "DataEncodingUnknown"
        raise RequestFault(code, "Unknown Data Encoding Style", version)


def _attributes(element: Any) -> Iterator[tuple[str, str]]:
    return ((split_tag(key)[1], value) for key, value in element.attrib.items())


def _is_nil(element: Any) -> bool:
    """Return whether an element has any attribute called nil, whatever its namespace and its value."""
    return any(name == "nil" for name, _ in _attributes(element))


def _attribute(element: Any, name: str, namespace: str) -> str | None:
    """Return an attribute; one without a prefix has the namespace of its element."""
    for key, value in element.attrib.items():
        found, local = split_tag(key)
        if local == name and (found or split_tag(element.tag)[0] or element.nsmap.get(None)) == namespace:
            return str(value)
    return None
