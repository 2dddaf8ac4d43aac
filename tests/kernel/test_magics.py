"""IPython's magics that write files and start processes, and those that work as under ipykernel."""

import pytest

USING = [
    "%%time\nprint('is', a)",
    "%time print('is', a)",
    "!echo is {a}",
    "!echo is $a",
    "%%time\n!echo is $a",
    "out = !echo {a}\nprint('is', out[0])",
    "%sx echo is $a",
    "%%bash -s {a}\necho is $1",
    "%timeit -n 1 -r 1 print('is', a)",
    "%%timeit -n 1 -r 1\nprint('is', a)",
]


@pytest.mark.parametrize("code", USING)
def test_what_a_magic_uses_runs_it_again(lab, code):
    lab.run("one", "a = 1")
    assert lab.run("two", code).ok
    assert "is 1" in lab.text("two")
    lab.run("one", "a = 2")
    assert "is 2" in lab.text("two")


def test_writefile_and_bash_define_nothing(lab, tmp_path):
    lab.run("one", "x = 1")
    file = tmp_path / "f.py"
    assert lab.run("two", f"%%writefile {file}\nx = 2").text == f"Writing {file}"
    assert file.read_text() == "x = 2\n"
    assert lab.run("three", "%%bash\nx=3\necho bash $x").text == "bash 3"
    assert lab.run("four", "x").text == "1"


@pytest.mark.parametrize(
    ("code", "shown"),
    [
        ("%timeit -n 2 -r 1 1 + 1", "per loop"),
        ("%%timeit -n 2 -r 1\n1 + 1", "per loop"),
        ("%pip --version", "pip"),
        ("%matplotlib inline", ""),
        ("%load_ext autoreload\n%autoreload 2", ""),
        ("%who_ls", "[]"),
        ("%lsmagic", "%marimo"),
        ("%env HOME", "/"),
        ("%%html\n<b>x</b>", "<IPython.core.display.HTML object>"),
        ("%%python\nprint('other', 1)", "other 1"),
        ("%pwd", "/"),
        ("%%unheard_of\nx", "UsageError"),
    ],
)
def test_magics_work_as_under_ipykernel(lab, code, shown):
    lab.run("one", code)
    assert shown in lab.text("one")
