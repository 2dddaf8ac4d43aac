"""What magics define and use, as marimo's own analysis sees the graph code. One line is one case."""

import builtins
import json
import re
import types
from collections.abc import Iterator
from pathlib import Path

import pytest
from IPython.core.inputtransformer2 import TransformerManager
from marimo._runtime.context.types import teardown_context  # noqa: TID251  # ends what an engine leaves

from marimo_kernel_bridge.kernel.ipython.magic_names import graph_code, read_script
from marimo_kernel_bridge.runtime.engine import Engine

FILES = {
    "s.py": "import os, a.b as c\nfrom q import *\nx = unknown\ndef f(): y = 1\nclass C: z = 1\n_p = 1",
    "main.py": "if __name__ == '__main__':\n    x = 1",
    "magic.ipy": "%time x = a\nfiles = !ls {d}",
    "n.ipynb": json.dumps(
        {
            "cells": [
                {"cell_type": "markdown", "source": ["m = 1"]},
                {"cell_type": "code", "source": ["x = 1\n", "y = a"]},
                {"cell_type": "code", "source": "%%time\nz = x"},
            ]
        }
    ),
    "again.ipy": "x = 1\n%run again.ipy",
    "broken.py": "x = ",
    "broken.ipynb": "{",
}

# code, the names it defines, the names it uses
CASES = [
    # nothing of IPython
    ("x = f(a)", "x", "f a"),
    ("ip = get_ipython()", "ip", ""),
    # cell magics whose body is Python
    ("%%time\nx = f(a)", "x", "f a"),
    ("%%time\nx = 1\ny = x", "x y", ""),
    ("%%time\nx += 1", "x", ""),
    ("%%time\nimport numpy as np\ndef f(): return g()\nclass C: pass", "np f C", "g"),
    ("%%time\nfor i in a: pass", "i", "a"),
    ("%%time --no-raise-error\nx = a", "x", "a"),
    ("%%time\nx = await f()", "x", "f"),
    ("%%time\n# only a comment", "", ""),
    ("%%prun\nx = a", "x", "a"),
    ("%%prun -s cumulative -q -D out.prof y = b\nx = a", "x y", "a b"),
    ("%%debug\nx = a", "x", "a"),
    ("%%debug -b file.py:3\nx = a", "x", "a"),
    ("%%memit -r 3\nx = a", "x", "a"),
    ("%%snakeviz\nx = a", "x", "a"),
    ("%%pyinstrument\nx = a", "x", "a"),
    ("%%viztracer\nx = a", "x", "a"),
    # %%timeit runs in a function
    ("%%timeit\nx = a", "", "a"),
    ("%%timeit -n 10 -r3 y = b\nx = a + y", "", "a b"),
    ("%%timeit -n1 -v result\nf(a)", "result", "f a"),
    ("%%timeit -qo\nx = 1", "", ""),
    ("%%timeit\nglobal g\ng = a", "g", "a"),
    # %%capture
    ("%%capture\nx = a", "x", "a"),
    ("%%capture out\nx = a", "x out", "a"),
    ("%%capture --no-stderr out\nx = a", "x out", "a"),
    ("%%capture out --no-display\nf()", "out", "f"),
    ("%%capture out\nx = 1;", "x", ""),
    ("%%capture out\nout = 1", "out", ""),
    ("%%capture out\nx = (", "out", ""),
    # other processes
    ("%%bash\nx=1\necho $x {y}", "", ""),
    ("%%bash --out x\necho", "x", ""),
    ("%%bash --out=x --err y\necho", "x y", ""),
    ("%%script --out x --err y --proc p perl -n {option}\necho", "x y p", "option"),
    ("%%sh --bg --proc p\nls", "p", ""),
    ("%%python\nx = a", "", ""),
    ("%%ruby\nx = a", "", ""),
    ("%%!\nls {a}", "", "a"),
    ("%%sx --out x\nls $a", "x", "a"),
    ("%%system\nls", "", ""),
    # text
    ("%%writefile f.py\nx = a", "", ""),
    ("%%writefile {name}.py\nx = a", "", "name"),
    ("%%file f.py\nx = a", "", ""),
    ("%%html\n<b>{a}</b>", "", ""),
    ("%%js\nlet x = a", "", ""),
    ("%%javascript\nlet x = a", "", ""),
    ("%%latex\n$a$", "", ""),
    ("%%markdown\n*a*", "", ""),
    ("%%svg\n<svg/>", "", ""),
    # other languages
    ("%%R -i a,b -o x -o y -w 5\nx <- a + b", "x y", "a b"),
    ("%R -i a mean(a)", "", "a"),
    ("m = %R -i a mean(a)", "m", "a"),
    ("%%sql\nselect * from t where c = :a and d = '{{ b }}' and e::int = 1", "", "a b"),
    ("%%sql rows << select\n1", "rows", ""),
    ("%sql rows << select 1", "rows", ""),
    ("%%unheard_of --out x {a}\ny = b", "", "a"),
    ("%unheard_of y = b", "", ""),
    # line magics with Python
    ("%time x = f(a)", "x", "f a"),
    ("%time f(a)", "", "f a"),
    ("y = %time f(a)", "y", "f a"),
    ("%time x = 1; y = x", "x y", ""),
    ("%time x = '{a}'", "x", ""),
    ("%timeit x = f(a)", "", "f a"),
    ("%timeit -n 10 -r 3 f(a)", "", "f a"),
    ("%timeit -n10 -r3 -p 2 -q f(a)", "", "f a"),
    ("%timeit -n 1 -v result f(a)", "result", "f a"),
    ("t = %timeit -o f(a)", "t", "f a"),
    ("%prun -s cumulative -q x = f(a)", "x", "f a"),
    ("%debug f(a)", "", "f a"),
    ("%debug", "", ""),
    ("%memit -r 1 -t 2 x = f(a)", "x", "f a"),
    ("%lprun -f f -f m.g -T out.txt x = h(a)", "x", "f m h a"),
    ("%mprun -f f f(a)", "", "f a"),
    ("%time", "", ""),
    ("%time x = ", "", ""),
    ("%time !ls {a}", "", "a"),
    ("%sx ls {a}", "", "a"),
    ("x = %sx ls $a", "x", "a"),
    ("%sc -l files=ls {a}", "files", "a"),
    ("%macro -q again 1-2", "again", ""),
    # %store
    ("%store -r x y", "x y", ""),
    ("%store -r", "", ""),
    ("%store x y", "", "x y"),
    ("%store x > f.txt", "", "x"),
    ("%store -d x", "", ""),
    ("%store", "", ""),
    # %run
    ("%run s.py", "os c x f C", ""),
    ("%run -t -N 3 s.py --arg x", "os c x f C", ""),
    ("%run -p -s cumulative 's.py'", "os c x f C", ""),
    ("%run main.py", "x", ""),
    ("%run main", "x", ""),
    ("%run -i main.py", "x", ""),
    ("%run magic.ipy", "x files", "a d"),
    ("%run n.ipynb", "x y z", "a"),
    ("%run again.ipy", "x", ""),
    ("%run missing.py", "", ""),
    ("%run {script}", "", "script"),
    ("%run -m timeit", "", ""),
    ("%run broken.py", "", ""),
    ("%run broken.ipynb", "", ""),
    ("%run -Q s.py", "", ""),
    ("%run 's.py", "", ""),
    ("%run", "", ""),
    # the shell
    ("!ls", "", ""),
    ("!echo {a} $b {c + 1} $d.e", "", "a b c d"),
    ("!echo {a[1:2]} {b!r} '$c'", "", "a b"),
    ("!echo {{a}} $$b", "", ""),
    ("!awk '{print $1}' {a}", "", ""),
    ("!echo {a", "", ""),
    ("x = !ls {a}", "x", "a"),
    ("x, y = !ls", "x y", ""),
    ("d['x'] = !ls", "", "d"),
    ("!!ls $a", "", "a"),
    ("%pip install {package}", "", "package"),
    ("%cd $folder", "", "folder"),
    ("%env KEY={value}", "", "value"),
    # what only looks, or sets something up
    ("a?", "", ""),
    ("a??", "", ""),
    ("?a.b", "", ""),
    ("*a*?", "", ""),
    ("%matplotlib inline", "", ""),
    ("%load_ext autoreload\n%autoreload 2", "", ""),
    ("%who a", "", ""),
    ("%pip --version", "", ""),
    ("%config InlineBackend.figure_format = 'svg'", "", ""),
    # among other code
    ("a = 1\n%time x = a\nprint(x)", "a x", ""),
    ("if a:\n    %time x = b\nelse:\n    y = !ls {c}", "x y", "a b c"),
    ("def f(p):\n    !echo {p} {a}\n    %time y = p", "f", "a"),
    ("for i in a:\n    !echo {i}", "i", "a"),
    ("try:\n    %time x = a\nexcept E:\n    !ls {b}\nfinally:\n    !ls {c}", "x", "a E b c"),
    ("match a:\n    case 1:\n        %time x = b", "x", "a b"),
    ("with a:\n    %time x = b", "x", "a b"),
    ("from __future__ import annotations\n%time x = a", "annotations x", "a"),
    # magics inside of magics
    ("%%time\n!echo {a}\nx = !ls", "x", "a"),
    ("%%time\n%time x = a", "x", "a"),
    ("%%capture out\n%store -r x\ny = a", "x y out", "a"),
    ("%%time\n%%capture out\nx = a", "x out", "a"),
    ("%%timeit\nx = !ls {a}", "", "a"),
    ("%%time\nfrom __future__ import division\nx = a", "x", "a"),
    # written out
    ("get_ipython().run_line_magic('time', 'x = a')", "x", "a"),
    ("get_ipython().run_cell('x = a')", "x", "a"),
    ("get_ipython().run_line_magic(m, line)", "", "m line"),
    ("get_ipython().run_cell_magic('time', '', code)", "", "code"),
    # code that does not fit where the magic stands
    ("%%time\nreturn a", "", ""),
    ("%%timeit\nreturn a", "", ""),
    ("%%time\nx = 1 +", "", ""),
    ("def f():\n    %time await a()", "f", ""),
    # what commands the graph is not in it
    ("%marimo", "", ""),
    ("x = a\n%marimo status", "", ""),
    ("%%time\n%marimo run stale\nx = a", "", ""),
]

# The first table of the documentation, in the same shape.
DOCUMENTED = [
    (code, *(" ".join(re.findall(r"`(.+?)`", names)) for names in (defines, uses)))
    for codes, defines, uses in re.findall(
        r"(?m)^\| (`[^|]+`) \|([^|]*)\|([^|]*)\|$",
        (Path(__file__).parents[2] / "docs/kernel.md").read_text().partition("Cell magics whose body")[0],
    )
    for code in re.findall(r"`(.+?)`", codes)
]

IGNORED = {"get_ipython", *dir(builtins)}


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    yield Engine(types.ModuleType("__main__"), types.SimpleNamespace(execute=None, wake=None))
    teardown_context()


def transform(code: str) -> str:
    return TransformerManager().transform_cell(code)


def read(path: str) -> str | None:
    return FILES.get(path, FILES.get(f"{path}.py"))


@pytest.mark.parametrize(
    ("code", "defines", "uses"), CASES + DOCUMENTED, ids=[case[0] for case in CASES + DOCUMENTED]
)
def test_names(engine: Engine, code: str, defines: str, uses: str) -> None:
    names = engine.parse("Hbol", graph_code(transform(code), transform, read).code)
    assert names is not None
    assert (names.defines, names.uses - IGNORED) == (set(defines.split()), set(uses.split()))


def test_a_star_import_is_refused_in_a_magic_as_outside_of_it(engine: Engine) -> None:
    code = graph_code(transform("%%time\nfrom math import *"), transform, read).code
    assert engine.parse("Hbol", code) is None


@pytest.mark.parametrize("code", ["x = 1  # kept", "get_ipython().x", "x = ("])
def test_code_without_magics_stays_as_it_is(code: str) -> None:
    assert graph_code(code, transform, read).code == code


def test_the_documentation_has_examples() -> None:
    assert len(DOCUMENTED) > 10


def test_code_without_magics_is_not_parsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ast.parse", None)
    assert graph_code("x = 1", transform).code == "x = 1"


@pytest.mark.parametrize(
    ("code", "private"),
    [
        ("_x = 1", ""),
        ("%timeit f(_x)", "_x"),
        ("%%time\n_x = 1\ny = _x + _z", "_x _z"),
        ("!echo {_x} $_y", "_x _y"),
        ("%store -r _x", ""),
        ("%store _x", "_x"),
        ("%%bash\necho $_x", ""),
        ("%%time\nx.__class__", ""),
        ("%time _x = f()\ndef f():\n    await _y", "_x"),
    ],
)
def test_private_names_inside_of_magics_are_told(code: str, private: str) -> None:
    assert graph_code(transform(code), transform, read).private == set(private.split())


def test_scripts_are_found_as_run_finds_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.py").write_text("x = 1")
    (tmp_path / "latin.py").write_bytes(b"x = '\xe9'")
    assert read_script("s.py") == read_script("s") == read_script(str(tmp_path / "s.py")) == "x = 1"
    assert read_script("latin.py") is read_script("none.py") is read_script(".") is read_script("\0") is None
