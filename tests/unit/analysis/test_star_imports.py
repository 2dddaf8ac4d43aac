"""What `from module import *` binds, and how it is written with names."""

from types import ModuleType

from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.analysis.star_imports import import_of, module_of, public_names, star_imports


def test_star_imports_are_found_wherever_they_are() -> None:
    tree = parse("from a.b import *\nif x:\n    from ..c import *\nfrom d import e")
    assert sorted(map(module_of, star_imports(tree))) == ["..c", "a.b"]


def test_the_public_names_are_those_that_the_module_lists() -> None:
    module = ModuleType("m")
    module.__dict__.update(b=1, a=2, _c=3)
    assert public_names(module) == ["a", "b"]
    module.__dict__["__all__"] = ["_c"]
    assert public_names(module) == ["_c"]
    module.__dict__["__all__"] = []
    assert public_names(module) == []


def test_an_import_of_many_names_takes_several_lines() -> None:
    assert import_of("m", ["a", "b"]) == "from m import a, b"
    code = import_of("m", [f"name_{number}" for number in range(20)])
    assert code.startswith("from m import (\n    name_0,")
    assert len(list(star_imports(parse(code)))) == 0
