"""The content of a stored figure, looked at before it is handed on: its name alone proves nothing."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

_PNG_START, _PNG_END = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR", b"IEND\xaeB`\x82"
# What matplotlib writes; whatever could run code, load something or move is none of it.
_ELEMENTS = frozenset(
    (
        *(
            "svg",
            "g",
            "defs",
            "style",
            "path",
            "use",
            "image",
            "clipPath",
            "rect",
            "text",
            "tspan",
            "title",
            "metadata",
        ),
        *("RDF", "Work", "type", "date", "format", "creator", "Agent", "pattern", "linearGradient", "stop", "mask"),
    )
)
_EMBEDDED = ("#", "data:image/png;base64,")
_OUTSIDE = re.compile(r"@import|url\(\s*['\"]?(?!#)|expression\(|javascript:", re.IGNORECASE)


def is_image(data: bytes, suffix: str) -> bool:
    """Recognise a picture by its content.

    Args:
        data: of the file.   suffix: `png`, or `svg` for a drawing that executes and loads nothing.
    """
    if suffix == "png":
        return data.startswith(_PNG_START) and data.endswith(_PNG_END)
    if b"<!ENTITY" in data:
        return False
    try:
        root = ET.fromstring(data)
    except (ET.ParseError, ValueError, LookupError):
        return False
    return _local(root.tag) == "svg" and all(_is_harmless(part) for part in root.iter())


def _is_harmless(part: ET.Element) -> bool:
    if _local(part.tag) not in _ELEMENTS or _OUTSIDE.search(part.text or ""):
        return False
    for name, value in part.items():
        key = _local(name).lower()
        if key.startswith("on") or _OUTSIDE.search(value) or (key == "href" and not value.startswith(_EMBEDDED)):
            return False
    return True


def _local(name: str) -> str:
    return name.rpartition("}")[2]
