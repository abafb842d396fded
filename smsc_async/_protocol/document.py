"""Any document, such as a WSDL, as plain values: written from them and read into them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from smsc_async._model import MalformedEnvelope, check_xml_text

from .envelope import ATTRIBUTE_ESCAPES, DECLARATION, MAX_DEPTH, child_elements, read_root, split_tag
from .tags import trimmed

__all__ = ["Node", "build_document", "parse_document"]

_MAX_ATTRIBUTES: Final = 256  # of one element; lxml looks each one up among all


@dataclass(frozen=True, slots=True)
class Node:
    """An element of any document.

    Attributes:
        tag: The local name.
        namespace: The namespace, "" for none.
        attributes: The attributes that have no namespace.
        children: The child elements.
    """

    tag: str
    namespace: str
    attributes: Mapping[str, str]
    children: tuple["Node", ...] = ()

    def all(self, tag: str) -> Iterator["Node"]:
        """Yield the children with this local name."""
        return (child for child in self.children if child.tag == tag)


def build_document(root: Node, prefixes: Mapping[str, str]) -> bytes:
    """Return an indented document; `prefixes` maps each namespace to its prefix.

    Raises:
        ValueError: A value has a character that XML can't carry.
    """

    def attribute(name: str, value: str) -> str:
        return f'{name}="{check_xml_text(value).translate(ATTRIBUTE_ESCAPES)}"'

    def lines(node: Node, depth: int) -> Iterator[str]:
        indent, name = "  " * depth, f"{prefixes[node.namespace]}:{node.tag}"
        attributes = "".join(f" {attribute(key, value)}" for key, value in node.attributes.items())
        if not depth:
            attributes += "".join(f"\n    {attribute(f'xmlns:{prefix}', uri)}" for uri, prefix in prefixes.items())
        if not node.children:
            yield f"{indent}<{name}{attributes}/>"
            return
        yield f"{indent}<{name}{attributes}>"
        for child in node.children:
            yield from lines(child, depth + 1)
        yield f"{indent}</{name}>"

    return (DECLARATION + "\n".join(lines(root, 0)) + "\n").encode()


def parse_document(data: bytes, charset: str | None = None, *, whole: bool = True) -> Node:
    """Read any document, such as a WSDL, or only its root.

    Raises:
        MalformedEnvelope: It isn't well-formed, or isn't safe to read.
    """

    def node(element: Any, depth: int) -> Node:
        if depth > MAX_DEPTH:
            raise MalformedEnvelope("the document is nested too deeply")
        if len(element.attrib) > _MAX_ATTRIBUTES:
            raise MalformedEnvelope("an element of the document has too many attributes")
        namespace, tag = split_tag(element.tag)
        attributes = {key: value for key, value in element.attrib.items() if not key.startswith("{")}
        children = child_elements(element) if whole else ()
        return Node(tag, namespace, attributes, tuple(node(child, depth + 1) for child in children))

    return node(read_root(trimmed(data), charset), 0)
