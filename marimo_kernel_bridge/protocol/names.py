"""Names by which clients and Jupyter know this kernel and its messages.

Imports nothing: the kernel needs them before it binds its sockets. The contents of the messages are in `messages`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from pathlib import Path

KERNELSPEC: Final = "marimo"
"""The name under which the kernelspec is installed."""

MODULE: Final = "marimo_kernel_bridge"
"""What `python -m` runs."""

IMPLEMENTATION: Final = "marimo_kernel_bridge"
"""`implementation` in this kernel's kernel_info_reply. Only such a kernel answers bridge requests."""

MARIMO_EDITOR: Final = "marimo"
"""`implementation` of a notebook in marimo's own editor, for which `client.marimo_editor` answers bridge requests."""

METADATA_KEY: Final = "marimo_kernel_bridge"
"""The key of this package's fields in the metadata of Jupyter messages, cells and notebooks."""

Dialect = Literal["lab", "vscode", "batch", "terminal", "agent"]
"""The kinds of front ends, by how they send and show a cell.

lab: JupyterLab, Notebook 7. vscode: VS Code's notebook editor. batch: nbclient, papermill. terminal: jupyter-console,
euporie. agent: a client that names itself in the request's metadata.
"""

REQUEST: Final = "marimo_bridge_request"
READ_REQUEST: Final = "marimo_bridge_read_request"
"""`REQUEST` on the control channel. A separate name, so that status messages distinguish reads from work."""

REPLY: Final = "marimo_bridge_reply"

DOCUMENT_REQUEST: Final = "marimo_bridge_document_request"
"""What a front end's extension sends about its document, on control (`protocol.document`)."""

LIVE_TARGET: Final = "marimo_kernel_bridge.live"
"""The target of the comms that pages open to show marimo's own elements."""

LIVE_LOADER: Final = 2
"""The version of the messages on those comms, and of what the loader keeps on a page and in the browser's cache."""

FOR_AGENT: Final = "marimo_kernel_bridge_agent"
"""A key that the kernel adds to the header of an agent's request: what it sends in answer to that request is redacted."""

OF_CLIENT: Final = "marimo_kernel_bridge_client"
"""A key in the header of a request of this package's client, which every kernel repeats: that request is no person's."""

_LONGEST_NAME: Final = 40
_LONGEST_READ: Final = 400
_PUNCTUATION: Final = frozenset(" .,_-+/@()")
_NOT_FOR_AGENTS: Final = frozenset({"notebook", "person", "you", "user", "username"})
"""Words that stand for the person where names are shown."""
_LOOK_ALIKE: Final = {
    "b": "вьъβъᏏ", "e": "еєҽεεեҿᎬꭼ", "k": "кқҝκᏦ", "n": "пոռηνհиɴ", "o": "оοօჿοဝഠөסᴏ", "p": "рҏρթᏢ",
    "r": "гяᎡᏒгր", "s": "ѕꮪᏚտςσ", "t": "тτԏէᎢ", "u": "υսцүմʋ", "y": "уүყγυұყᎩ",
}  # fmt: skip
"""Letters of other scripts, in lower case, that a person may read as a letter of these words."""


def agent_name(named: str) -> str:
    """Return the name by which a person sees an agent: letters, digits and some punctuation, and not the person's.

    Agents choose their names, which stand in notices, in terminals and in the audit log.
    """
    return _agent_name(named[:_LONGEST_READ])


@lru_cache(maxsize=256)
def _agent_name(named: str) -> str:
    import unicodedata  # noqa: PLC0415  # not needed when a kernel starts

    composed = unicodedata.normalize("NFC", named)
    kept = "".join(letter if letter.isalnum() or letter in _PUNCTUATION else " " for letter in composed)
    name = " ".join(kept.split())[:_LONGEST_NAME].strip()
    # As a person reads it: full-width letters, accents, or digits beside it, make no other word.
    letters = "".join(
        letter if letter.isalpha() else " "
        for letter in unicodedata.normalize("NFKD", name)
        if not unicodedata.combining(letter)
    )
    words = letters.casefold().split()
    if not any(letter.isalnum() for letter in name) or any(map(_misleads, words)):
        return "agent"
    return name


def _misleads(word: str) -> bool:
    """Whether a word stands for the person, looks like one that does, or mixes Latin letters with those of another script."""
    import unicodedata  # noqa: PLC0415  # not needed when a kernel starts

    if word.isascii():
        return word in _NOT_FOR_AGENTS
    latin = {unicodedata.name(letter, "").startswith("LATIN ") for letter in word}
    return len(latin) > 1 or any(_looks_like(word, other) for other in _NOT_FOR_AGENTS)


def _looks_like(word: str, other: str) -> bool:
    """Whether a word of another script looks like one of Latin letters."""
    return len(word) == len(other) and all(
        letter == known or letter in _LOOK_ALIKE.get(known, "")
        for letter, known in zip(word, other, strict=True)
    )


def kernel_id_of(connection_file: Path) -> str:
    """Return the id that a Jupyter server gives a kernel, which is a part of its connection file's name."""
    return connection_file.stem.removeprefix("kernel-")
