"""The documentation as a site: `python -m sphinx -W docs site`."""

import os
import sys
from pathlib import Path
from typing import Final

from docutils.io import StringOutput
from sphinx.application import Sphinx
from sphinx.builders.text import TextBuilder
from sphinx.writers.text import TextWriter

HERE: Final = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from generated import pages  # noqa: E402 - found by the line above

from smsc_async import __version__  # noqa: E402

project = "smsc_async"
author = "The smsc_async developers"
copyright = author  # noqa: A001 - Sphinx calls it so
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"smsc_async {__version__}"
html_static_path = ["_static"]
templates_path = ["_templates"]
html_js_files = ["accessible.js"]
html_copy_source = False
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
suppress_warnings = [
    "myst.xref_missing",
    "ref.python",
]  # links out of docs/ lead to files of the repository: tests/test_docs.py

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_format = "short"
autodoc_default_options = {"members": True, "show-inheritance": False}
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_use_ivar = True
nitpicky = False


def _mark_code(_app: Sphinx, _kind: str, _name: str, _value: object, _options: object, lines: list[str]) -> None:
    """Mark the indented lines of a docstring as Python."""
    marked: list[str] = []
    before = ""
    for line in lines:
        if line.startswith("    ") and marked and not marked[-1] and not before.startswith(" "):
            marked += [".. code-block:: text" if line.strip()[0].isdigit() else ".. code-block:: python", ""]
        marked.append(line)
        before = line or before
    lines[:] = marked


def _generate(_: Sphinx) -> None:
    folder = HERE / "_generated"
    folder.mkdir(exist_ok=True)
    for name, text in pages():
        file = folder / f"{name}.md"
        if not file.exists() or file.read_text(encoding="utf-8") != text:
            new = file.with_suffix(f".{os.getpid()}")
            new.write_text(text, encoding="utf-8")
            new.replace(file)  # at once: another build may be reading it


def _list_for_models(app: Sphinx, error: Exception | None) -> None:
    """Write `llms.txt`, the list of the pages, and `llms-full.txt`, all of them as one text."""
    if error is not None:
        return
    titles = {name: node.astext() for name, node in app.env.titles.items()}
    listed = "".join(f"- [{titles[name]}]({name}.html)\n" for name in sorted(titles))
    out = Path(app.outdir)
    (out / "llms.txt").write_text(f"# smsc_async\n\n> {app.config.description}\n\n{listed}", encoding="utf-8")
    texts = [_text(app, name) for name in sorted(titles)]
    (out / "llms-full.txt").write_text("\n\n".join(texts), encoding="utf-8")


def _text(app: Sphinx, name: str) -> str:
    """Return a page as text: its Markdown, or what the docstrings say where that only names modules."""
    source = Path(app.env.doc2path(name)).read_text(encoding="utf-8")
    if "```{eval-rst}" not in source:
        return source
    builder = TextBuilder(app, app.env)
    output = StringOutput(encoding="unicode")
    builder.init()
    return str(TextWriter(builder).write(app.env.get_and_resolve_doctree(name, builder), output))


def setup(app: Sphinx) -> None:
    """Add the pages and files that are made while the site is built."""
    app.add_config_value("description", "The asyncio-native client for the SOAP service of SMS Center", "")
    app.connect("builder-inited", _generate)
    app.connect("autodoc-process-docstring", _mark_code, priority=400)  # before the sections are read
    app.connect("build-finished", _list_for_models)
