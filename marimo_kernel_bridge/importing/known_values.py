"""What the text of code tells of an expression's value: whether it is None, which Jupyter does not show."""

from __future__ import annotations

import ast
from collections import Counter
from typing import TYPE_CHECKING, Final, Literal

from marimo_kernel_bridge.analysis.name_uses import parse
from marimo_kernel_bridge.analysis.object_kinds import kind_of, root_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

Value = Literal["none", "some", "any"]
"""A value that is always None, one that never is, and one that is unknown before the code runs."""

_FUNCTIONS_OF_NONE: Final = frozenset(
    ["print", "display", "help", "exec", "setattr", "delattr", "breakpoint", "clear_output"]
)
_FUNCTIONS_OF_SOME: Final = frozenset(
    """abs all any ascii bin bool bytearray bytes callable chr complex dict dir divmod enumerate filter float format
    frozenset hasattr hash hex id int isinstance issubclass len list map next oct ord range repr reversed round set
    sorted str sum tuple type zip""".split()  # noqa: SIM905  # a list of words
)
_METHODS_OF_NONE: Final = frozenset(
    """simplefilter filterwarnings set_option set_theme set_style set_context savefig init_printing""".split()  # noqa: SIM905  # a list of words
)
_IN_MODULES_OF_NONE: Final = frozenset(
    """time.sleep random.seed random.shuffle np.random.seed np.random.shuffle heapq.heapify heapq.heappush bisect.insort
    os.makedirs os.mkdir os.remove os.chdir shutil.rmtree""".split()  # noqa: SIM905  # a list of words
)
_METHODS_OF_NONE_OF_SOME: Final = frozenset({"show", "close", "seed", "use"})
"""Those that classes of a notebook have as well, with a value."""
_CUSTOMARY: Final = frozenset(
    """plt pyplot mpl matplotlib fig figure sns np numpy random torch f file fh fp con conn connection cur cursor""".split()  # noqa: SIM905  # a list of words
)
"""What modules, figures, files and connections are called, of which those return None."""
_METHODS_OF_SOME: Final = frozenset(
    """head tail describe copy mean median sum std var min max count value_counts unique nunique corr round groupby agg
    reset_index set_index sort_values drop dropna fillna merge pivot_table items keys values format upper lower strip
    split reshape transpose dot astype to_frame to_numpy tolist fetchall fetchmany qsize getvalue readline readlines
    most_common predict predict_proba fit_transform""".split()  # noqa: SIM905  # a list of words
)
"""Unless they work in place. `join` and `replace` are methods of threads and of `os`, too."""
_CHANGES: Final = frozenset("append extend insert sort reverse clear update add remove".split())  # noqa: SIM905  # a list of words
"""Methods of lists, dictionaries and sets that return None; those of arrays, frames and modules may not."""
_OPERATORS: Final = (ast.BinOp, ast.UnaryOp, ast.Compare, ast.JoinedStr, ast.Lambda)
_DISPLAYS: Final = (ast.List, ast.Tuple, ast.Set, ast.Dict, ast.ListComp, ast.SetComp, ast.DictComp)


def value_of(
    value: ast.expr,
    containers: AbstractSet[str],
    bound: AbstractSet[str] = frozenset(),
    display: str = "display",
    silent: AbstractSet[str] = frozenset(),
) -> Value:
    """Return what the text tells of a value.

    `containers` are the result of `containers_in`, `bound` the names that the notebook binds, `display` is what IPython's
    `display` is called, and `silent` are the result of `functions_of_none`.
    """
    match value:
        case ast.Call(func=ast.Name(id=name)) if name in silent:
            return "none"
        case ast.Constant():
            return "none" if value.value is None else "some"
        case ast.Call(func=ast.Name(id=name), keywords=keywords) if name not in bound or name == display:
            return _result_of_function(name if name != display else "display", keywords)
        case ast.Call(func=ast.Attribute(value=owner, attr=name)):
            return _result_of_method(owner, name, value, containers)
    return "some" if isinstance(value, (*_OPERATORS, *_DISPLAYS, ast.GeneratorExp)) else "any"


def functions_of_none(codes: Iterable[str]) -> frozenset[str]:
    """Return the names that a notebook binds to functions which return nothing, and to nothing else."""
    every, known = Counter[str](), Counter[str]()
    for node in (node for code in codes for node in ast.walk(parse(code))):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                every[name] += 1
            case ast.alias(name=name, asname=alias):
                every[alias or name] += 1
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                every[name] += 1
                known[name] += isinstance(node, ast.FunctionDef) and _returns_nothing(node)
    return frozenset(name for name, times in known.items() if times == every[name])


def _returns_nothing(function: ast.FunctionDef) -> bool:
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        match node := waiting.pop():
            case ast.Return(value=value) if not (
                value is None or (isinstance(value, ast.Constant) and value.value is None)
            ):
                return False
            case ast.Yield() | ast.YieldFrom():
                return False
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda() | ast.ClassDef():
                continue
        waiting += ast.iter_child_nodes(node)
    return not function.decorator_list


def containers_in(*codes: str) -> frozenset[str]:
    """Return the names that code binds to lists, dictionaries and sets, and to nothing else."""
    every, known = Counter[str](), Counter[str]()
    for node in (node for code in codes for node in ast.walk(parse(code))):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name):
                every[name] += 1
            case ast.Assign(targets=targets, value=value) if _is_container(value):
                known.update(target.id for target in targets if isinstance(target, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value) if _is_container(value):
                known[name] += 1
    return frozenset(name for name, times in known.items() if times == every[name])


def _is_container(value: ast.expr) -> bool:
    return kind_of(value, {}, {}) in {"list", "dict", "set"}


def _result_of_function(name: str, keywords: list[ast.keyword]) -> Value:
    if name in _FUNCTIONS_OF_NONE:
        returns_handle = name == "display" and any(each.arg in {"display_id", None} for each in keywords)
        return "any" if returns_handle else "none"
    is_class = name[:1].isupper()
    return "some" if name in _FUNCTIONS_OF_SOME or is_class else "any"


def _result_of_method(owner: ast.expr, name: str, call: ast.Call, containers: AbstractSet[str]) -> Value:
    in_place = [each.value for each in call.keywords if each.arg == "inplace"]
    if any(isinstance(value, ast.Constant) and value.value is True for value in in_place):
        return "none"
    in_module = ast.unparse(call.func) in _IN_MODULES_OF_NONE
    if in_module or name in _METHODS_OF_NONE or (name == "to_csv" and call.args):
        return "none"
    if name in _METHODS_OF_NONE_OF_SOME and (root := root_of(owner)) is not None and root.id in _CUSTOMARY:
        return "none"
    if name in _CHANGES and isinstance(owner, ast.Name) and owner.id in containers:
        return "none"
    is_text = isinstance(owner, ast.Constant | ast.JoinedStr)  # "".join(words)
    return "some" if is_text or (name in _METHODS_OF_SOME and not in_place) else "any"
