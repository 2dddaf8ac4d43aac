"""What each version of a name is called: as before, numbered, or private to its cell."""

from __future__ import annotations

from typing import TYPE_CHECKING

from marimo_kernel_bridge.analysis.model import PYTHON

if TYPE_CHECKING:
    from collections.abc import Mapping
    from collections.abc import Set as AbstractSet

    from marimo_kernel_bridge.analysis.model import Version


def name_versions(  # noqa: C901  # one case for each form
    all_versions: Mapping[str, list[Version]], words: AbstractSet[str], quoted: AbstractSet[str]
) -> None:
    """Give each version its name; `words` are all that the cells use, so that no new name is one of them.

    `quoted` names are also used in strings, where a private one would not be found.
    """
    taken = set(words)
    for name, versions in all_versions.items():
        crossing = [each for each in versions if each.readers - {each.cell} or name in quoted]
        if name.startswith("_") and not name.startswith("__"):
            if not crossing:
                for each in versions:
                    each.text = name
                continue
            base = name.strip("_") or "underscore"
            if base in taken:
                base = _next_free(base, taken)
            taken.add(base)
            for each in versions:
                each.text = (
                    base if each is crossing[0] else _next_free(base, taken) if each in crossing else name
                )
                taken.add(each.text)
            continue
        if len(versions) == 1:
            versions[0].text = name
            continue
        plain_free = True
        for each in versions:
            public = each in crossing or each.derived or each.definition or each.cell == PYTHON
            if not public and f"_{name}" not in taken:
                each.text = f"_{name}"
            elif plain_free:
                each.text, plain_free = name, False
            else:
                each.text = _next_free(name, taken)
                taken.add(each.text)


def _next_free(name: str, taken: set[str]) -> str:
    number = 1
    while f"{name}_{number}" in taken:
        number += 1
    return f"{name}_{number}"
