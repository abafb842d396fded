"""The characters that XML can carry; pure."""

import re
from typing import Final

__all__ = ["NOT_XML", "why_not_xml"]

# What XML 1.0, production 2 (Char), leaves out is not allowed in a document, not even escaped; PHP answers it with a
# Fault. The complement of what is allowed would take 20 times as long to compile.
NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")


def why_not_xml(value: str) -> str:
    """Return which character XML can't carry, "" if there is none."""
    found = NOT_XML.search(value)
    if not found:
        return ""
    return (
        f"character U+{ord(found[0]):04X} at position {found.start()} is not allowed in XML; remove control "
        "characters, and repair text that was cut inside a surrogate pair"
    )
