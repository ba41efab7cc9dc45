"""Docstrings of the package, brought into Markdown before mkdocstrings shows them."""

from __future__ import annotations

from typing import Any

import griffe
from site_pages.markdown import docstring


class ProjectDocstrings(griffe.Extension):
    """Convert every docstring once, when its object is complete."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = docstring(obj.docstring.value)
