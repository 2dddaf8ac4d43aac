"""`marimo-kernel-bridge export`: formats, files that are left alone, what is said."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import nbformat
import pytest
from click.testing import CliRunner
from jupyter_client import KernelManager

from marimo_kernel_bridge.cli.main import main
from marimo_kernel_bridge.exporting import pages

EXAMPLE = Path(__file__).parents[2] / "examples"
FORMULA = r"Half: $\frac{1}{2}$, and \begin{align}a&=b\\c&=d\end{align}"


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("penguins.ipynb", "penguins.csv"):
        shutil.copy(EXAMPLE / name, tmp_path)
    return tmp_path


@pytest.fixture
def imported(folder):
    assert run("import", "penguins.ipynb").exit_code == 0
    return folder


def write(path, *cells):
    made = []
    for number, (kind, source, *outputs) in enumerate(cells, start=1):
        more = {"outputs": outputs, "execution_count": None} if kind == "code" else {}
        made.append({"cell_type": kind, "id": f"c{number}", "metadata": {}, "source": source, **more})
    path.write_text(json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}))
    return path


def shown(text, **more):
    return {"output_type": "display_data", "data": {"text/plain": text, **more}, "metadata": {}}


def test_an_imported_file_becomes_the_notebook_that_it_was(imported):
    result = run("export", "penguins.py", "-o", "back.ipynb")
    assert result.exit_code == 0, result.output
    assert Path("back.ipynb").read_bytes() == Path("penguins.ipynb").read_bytes()
    assert "No cell has changed" in result.output


def test_without_what_the_import_kept_the_original_brings_it_back(imported):
    shutil.rmtree("__marimo__")
    result = run("export", "penguins.py", "-o", "bare.ipynb")
    assert "cell ids, metadata and attachments are new" in result.output
    assert nbformat.read("bare.ipynb", 4).cells[1].id != nbformat.read("penguins.ipynb", 4).cells[0].id
    run("export", "penguins.py", "-o", "back.ipynb", "--original", "penguins.ipynb")
    assert Path("back.ipynb").read_bytes() == Path("penguins.ipynb").read_bytes()


def test_saved_outputs_come_back_with_the_cells_that_still_have_their_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("a.ipynb"), ("code", "x = 1\nx", shown("1")), ("code", "y = 2\ny", shown("2")))
    assert run("import", "a.ipynb", "--outputs", "keep").exit_code == 0
    Path("a.py").write_text(Path("a.py").read_text().replace("y = 2", "y = 3"))
    run("export", "a.py", "-o", "b.ipynb")
    first, second = nbformat.read("b.ipynb", 4).cells
    assert first.outputs[0].data["text/plain"] == "1"
    assert (second.source, second.outputs) == ("y = 3\ny", [])


def test_run_gives_fresh_outputs_to_the_original_cells(imported):
    result = run("export", "penguins.py", "--to", "ipynb", "--run")
    assert result.exit_code == 0, result.output
    notebook = nbformat.read("penguins-run.ipynb", 4)
    nbformat.validate(notebook)
    original = nbformat.read("penguins.ipynb", 4)
    assert [cell.id for cell in notebook.cells] == [cell.id for cell in original.cells]
    texts = [out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", [])]
    assert any("146 Adelie penguins weigh 3706 g on average" in text for text in texts)


def test_a_cell_that_fails_is_told_and_ends_with_4(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("a.ipynb"), ("code", "1 / 0"), ("code", "2"))
    result = run("export", "a.ipynb", "--to", "ipynb", "--run")
    assert result.exit_code == 4
    assert "failed: c1: ZeroDivisionError" in result.stderr
    assert nbformat.read("a-run.ipynb", 4).cells[1].outputs[0].data["text/plain"] == "2"


# Pages


def test_a_page_loads_nothing_and_draws_formulas_itself(tmp_path):
    source = write(
        tmp_path / "a.ipynb",
        ("markdown", FORMULA),
        ("code", "x", shown("sqrt(x)", **{"text/latex": r"$\displaystyle \sqrt{x}$"})),
        ("markdown", r"$\frac{$ is not one"),
    )
    result = run("export", source, "--to", "html")
    page = source.with_suffix(".html").read_text()
    assert not re.findall(r"<(?:script|link|img)[^>]*(?:src|href)=\"http[^>]*>", page)
    assert "<mfrac>" in page
    assert "<mtable" in page
    assert "<msqrt>" in page
    assert "When opened" not in result.output


def test_a_notebook_without_the_fields_that_nobody_misses_is_a_page_too(tmp_path):
    outputs = [
        {"output_type": "execute_result", "data": {"text/plain": ["twelve"]}},
        {"output_type": "stream", "text": ["printed"]},
        {"output_type": "error", "ename": "KeyError"},
        {"output_type": "unheard-of"},
    ]
    cells = [{"cell_type": "code", "source": "x", "outputs": outputs}, {"cell_type": "code", "source": ["y"]}]
    cells += [{"cell_type": "raw", "source": "r"}, {"cell_type": "markdown", "source": "# T"}]
    (tmp_path / "a.ipynb").write_text(json.dumps({"nbformat": 4, "cells": cells}))
    for to in ("html", "json", "py", "md"):
        assert run("export", tmp_path / "a.ipynb", "--to", to).exit_code == 0, to
    page = (tmp_path / "a.html").read_text()
    assert "twelve" in page
    assert "printed" in page


def test_a_page_keeps_scripts_only_if_asked_and_says_so(tmp_path):
    script = shown("plot", **{"text/html": "<div></div><script>require(['x'], function() {})</script>"})
    source = write(tmp_path / "a.ipynb", ("code", "x", script))
    result = run("export", source, "--to", "html")
    assert "1 outputs need scripts" in result.output
    assert "require.js" not in source.with_suffix(".html").read_text()
    result = run("export", source, "--to", "html", "--scripts", "--force")
    assert "It runs the scripts" in result.output
    assert "Content-Security-Policy" not in source.with_suffix(".html").read_text()
    assert run("export", source, "--to", "pdf", "--scripts").exit_code == 2


def test_a_page_has_attachments_and_pictures_beside_the_notebook_in_it(tmp_path):
    pixel = bytes.fromhex("89504e470d0a1a0a")
    (tmp_path / "p.png").write_bytes(pixel)
    page = write(tmp_path / "a.ipynb", ("markdown", "![p](p.png)"))
    run("export", page, "--to", "html")
    assert "data:image/png;base64" in page.with_suffix(".html").read_text()


def test_a_page_of_a_marimo_file_shows_what_marimo_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("a.ipynb"), ("code", "x = 1\nx", shown("forty-two")))
    run("import", "a.ipynb", "--outputs", "keep")
    shutil.rmtree("__marimo__/jupyter")
    run("export", "a.py", "--to", "html")
    assert "forty-two" in Path("a.html").read_text()


def test_a_page_is_printed_as_pdf(tmp_path):
    source = write(tmp_path / "a.ipynb", ("markdown", FORMULA), ("code", "1", shown("1")))
    result = run("export", source, "--to", "pdf", "--no-sandbox")
    assert result.exit_code == 0, result.output
    assert source.with_suffix(".pdf").read_bytes().startswith(b"%PDF-")


def test_root_has_to_say_that_chromium_may_do_without_its_sandbox(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    result = run("export", write(tmp_path / "a.ipynb", ("code", "1")), "--to", "pdf")
    assert result.exit_code == 1
    assert "--no-sandbox" in result.stderr


@pytest.mark.parametrize("missing", ["nbconvert", "latex2mathml"])
def test_what_is_not_installed_is_named_with_what_to_install(tmp_path, monkeypatch, missing):
    monkeypatch.setitem(sys.modules, missing, None)
    monkeypatch.setitem(sys.modules, f"{missing}.exporters", None)
    pages._exporter.cache_clear()
    result = run("export", write(tmp_path / "a.ipynb", ("code", "1")), "--to", "html")
    assert result.exit_code == 1
    assert "pip install 'marimo-kernel-bridge[export]'" in result.stderr
    assert not (tmp_path / "a.html").exists()


@pytest.mark.parametrize("missing", ["nbconvert", "latex2mathml", "playwright"])
def test_what_a_pdf_needs_is_named_at_once(tmp_path, monkeypatch, missing):
    for module in (missing, f"{missing}.exporters", f"{missing}.sync_api"):
        monkeypatch.setitem(sys.modules, module, None)
    pages._exporter.cache_clear()
    result = run("export", write(tmp_path / "a.ipynb", ("code", "1")), "--to", "pdf")
    assert result.exit_code == 1
    assert "pip install 'marimo-kernel-bridge[pdf]'" in result.stderr
    assert "[export]" not in result.stderr


# Text formats


def test_md_and_script_are_marimos(imported):
    run("export", "penguins.py", "--to", "md")
    assert Path("penguins.md").read_text().count("```python {.marimo") == 7
    run("export", "penguins.py", "--to", "script")
    compile(Path("penguins.script.py").read_text(), "script", "exec")


def test_a_notebook_with_a_syntax_error_is_no_script_and_the_refusal_names_its_cells(folder):
    Path("broken.py").write_text(
        "import marimo\napp = marimo.App()\n@app.cell\ndef _():\n    y = 1\n    return\n"
        "@app.cell\ndef _():\n    x = (1\n    return\n"
    )
    result = run("export", "broken.py", "--to", "script")
    assert result.exit_code == 1
    assert "broken.py has a syntax error in cell 2. Correct it, or export" in result.stderr
    assert run("export", "broken.py", "--to", "md", "-o", "-").exit_code == 0


def test_an_ipynb_is_imported_on_the_way(folder):
    result = run("export", "penguins.ipynb", "--to", "md", "-o", "-")
    assert "```python {.marimo" in result.stdout
    assert sorted(path.name for path in folder.iterdir()) == ["penguins.csv", "penguins.ipynb"]


def test_json_has_the_graph_and_outputs_as_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(Path("a.ipynb"), ("code", "x = 1"), ("code", "x + 1"))
    run("import", "a.ipynb")
    exported = run("export", "a.py", "--to", "json", "--run", "-o", "-")
    assert exported.exit_code == 0, exported.output
    content = json.loads(exported.stdout)
    first, second = content["cells"]
    assert first["defines"] == ["x"]
    assert second["upstream"] == [first["id"]]
    assert second["outputs"][0]["text"] == "2"


def test_a_marimo_notebook_survives_being_an_ipynb(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (
        '# /// script\n# dependencies = ["marimo"]\n# ///\n\nimport marimo\n\n__generated_with = "0.25.2"\n'
        'app = marimo.App(width="full")\n\nwith app.setup:\n    import math\n\n\n'
        '@app.cell(hide_code=True)\ndef first(mo):\n    mo.md(r"""\n    # Title\n    """)\n    return\n\n\n'
        "@app.cell\ndef _():\n    import marimo as mo\n\n    x = math.pi\n    return mo, x\n\n\n"
        '@app.cell(disabled=True)\ndef last(x):\n    x\n    return\n\n\nif __name__ == "__main__":\n    app.run()\n'
    )
    Path("a.py").write_text(text)
    assert run("export", "a.py", "--to", "ipynb").exit_code == 0
    nbformat.validate(nbformat.read("a.ipynb", 4))
    assert run("import", "a.ipynb", "-o", "b.py").exit_code == 0
    again = Path("b.py").read_text()
    for part in (
        'width="full"',
        "# /// script",
        "def first(mo)",
        "@app.cell(disabled=True)\ndef last",
        "# Title",
    ):
        assert part in again


# Refusals


def test_files_are_left_alone_without_force(imported):
    Path("penguins.html").write_text("mine")
    result = run("export", "penguins.py", "--to", "html")
    assert result.exit_code == 1
    assert "penguins.html exists" in result.stderr
    assert Path("penguins.html").read_text() == "mine"
    assert run("export", "penguins.py", "--to", "html", "--force").exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["none.py", "--to", "md"], "none.py does not exist"),
        (["penguins.csv", "--to", "md"], "neither an .ipynb nor a marimo .py file"),
        (["plain.py", "--to", "md"], "no marimo notebook"),
        (["broken.py", "--to", "md"], "no marimo notebook"),
        (["latin.py", "--to", "md"], "latin.py is not UTF-8 text (byte 2). Save it as UTF-8."),
        (["latin.ipynb", "--to", "md"], "latin.ipynb is not UTF-8 text (byte 2). Save it as UTF-8."),
        (["penguins.ipynb", "--to", "ipynb"], "is an .ipynb file already"),
        (["penguins.ipynb", "--to", "md", "--original", "penguins.ipynb"], "an .ipynb is its own"),
        (["--live", "none.ipynb", "--to", "md"], "No running notebook is"),
        (["--live", "none.ipynb", "--to", "md"], "`marimo-kernel-bridge kernels`, or"),
        (["--live", "none.ipynb", "--to", "md", "--run"], "is for files"),
    ],
)
def test_what_cannot_be_exported_is_refused_in_one_line(folder, monkeypatch, arguments, says):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(folder / "runtime"))
    Path("plain.py").write_text("x = 1\n")
    Path("broken.py").write_text("import (\n")
    for name in ("latin.py", "latin.ipynb"):
        Path(name).write_bytes("# é\n".encode("latin-1"))
    result = run("export", *arguments)
    assert result.exit_code == 1, result.output
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not result.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["penguins.ipynb"], "To which format? Give --to with one of py, ipynb, "),
        (["penguins.ipynb", "-o", "-"], "To which format? Give --to"),
        (
            ["penguins.ipynb", "-o", "x.docx"],
            "No format is known by .docx. Give --to with one of py, ipynb, ",
        ),
    ],
)
def test_an_unknown_format_is_wrong_usage_in_one_line(folder, arguments, says):
    result = run("export", *arguments)
    assert result.exit_code == 2
    assert says in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert not (folder / "x.docx").exists()


def test_importing_a_marimo_file_says_that_it_is_no_ipynb(imported):
    result = run("import", "penguins.py")
    assert result.exit_code == 1
    assert "penguins.py is a marimo notebook already. It becomes an .ipynb by: " in result.stderr


# A running kernel


@pytest.fixture
def kernel(folder, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("JPY_SESSION_NAME", str(folder / "live.ipynb"))
    manager = KernelManager(kernel_name="marimo", connection_file=str(folder / "kernel-live.json"))
    manager.start_kernel(env=dict(os.environ))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield client
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)


def execute(client, cell_id, code):
    message = client.session.msg(
        "execute_request",
        {"code": code, "silent": False, "store_history": True, "user_expressions": {}, "allow_stdin": False},
        metadata={"cellId": cell_id},
    )
    client.shell_channel.send(message)
    while client.get_shell_msg(timeout=60)["parent_header"].get("msg_id") != message["header"]["msg_id"]:
        pass


def test_what_a_kernel_has_now_is_exported_into_the_notebook_that_it_belongs_to(kernel, folder):
    write(folder / "live.ipynb", ("markdown", "# T"), ("code", "x = 1"), ("code", "x + 1"), ("code", "never"))
    execute(kernel, "c2", "x = 41")
    execute(kernel, "new", "print('added', x)")
    execute(kernel, "c3", "x + 1")
    result = run("export", "--live", "kernel-live.json", "--to", "ipynb")
    assert result.exit_code == 0, result.output
    notebook = nbformat.read("live-live.ipynb", 4)
    nbformat.validate(notebook)
    cells = {cell.id: cell for cell in notebook.cells}
    assert [name for name in cells if name != "new"] == ["c1", "c2", "c3", "c4"]
    assert list(cells).index("new") > list(cells).index(
        "c2"
    )  # where the kernel has it: below what ran before it
    assert (cells["c2"].source, cells["new"].source) == ("x = 41", "print('added', x)")
    assert cells["c3"].outputs[0].data["text/plain"] == "42"
    for told in (
        "The export has the kernel's code, which is newer than the saved notebook's, of cell c2.",
        "The export also has cell new, run in the kernel and not in the saved notebook.",
        "Not run in this kernel, and so exported as in the saved notebook: cell c4.",
    ):
        assert told in result.output
    content = json.loads(run("export", "--live", "kernel-live.json", "--to", "json", "-o", "-").stdout)
    assert sorted(content["cells"][1]["downstream"]) == ["c3", "new"]
    assert content["cells"][1]["status"] == "ok"
    page = run("export", "--live", "kernel-live.json", "--to", "html")
    assert "added 41" in Path("live.html").read_text(), page.output
    assert run("export", "--live", "kernel-live.json", "--to", "py").exit_code == 0
    assert "x = 41" in Path("live.py").read_text()
