"""The characters that XML can carry; pure."""

import re
from typing import Final

__all__ = ["NOT_XML", "why_not_xml"]

# XML 1.0, production 2 (Char): nothing else is allowed in a document, not even escaped; PHP answers it with a Fault.
NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def why_not_xml(value: str) -> str:
    """Return which character XML can't carry, "" if there is none."""
    found = NOT_XML.search(value)
    if not found:
        return ""
    return (
        f"character U+{ord(found[0]):04X} at position {found.start()} is not allowed in XML; remove control "
        "characters, and repair text that was cut inside a surrogate pair"
    )
