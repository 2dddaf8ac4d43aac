"""The story that a test plays and the documentation shows: Ada, her notebook, and an agent beside her.

Each tool is called at least once. To add a tool, put a `Call` of it where it fits, with one sentence that leads to it and
some words that its answer must have.
"{run}" in an argument is the newest run's id, "{cell}" the newest new cell's, "{op}" that of the newest change of the document.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Ada:
    """The person runs a cell. She then sees `shows` below it; None: she does not wait."""

    cell: str
    code: str
    shows: str | None
    why: str


@dataclass(frozen=True)
class Sees:
    """What the person sees below a cell, without having done anything."""

    cell: str
    text: str


@dataclass(frozen=True)
class Opens:
    """The person opens the notebook with the extension, with this text in a cell that she has not run."""

    cell: str
    code: str
    why: str


@dataclass(frozen=True)
class Accepts:
    """The person accepts the newest proposal, with another text."""

    code: str
    why: str


@dataclass(frozen=True)
class Call:
    """The agent calls a tool. `has` are words of the answer; `refused` the code, if the call is refused."""

    tool: str
    arguments: dict[str, Any]
    has: tuple[str, ...]
    why: str
    refused: str | None = None


@dataclass(frozen=True)
class Read:
    """The agent's host reads a resource; `has` as above."""

    uri: str
    has: tuple[str, ...]
    why: str


@dataclass(frozen=True)
class Changes:
    """The host has subscribed to `uri`, does nothing, and is told that it changed because of `because`."""

    uri: str
    because: Ada
    why: str = field(default="")


Step = Ada | Sees | Opens | Accepts | Call | Read | Changes

LOAD = """\
import marimo as mo
import pandas as pd

penguins = pd.DataFrame(
    {
        "species": ["Adelie", "Adelie", "Chinstrap", "Gentoo", "Gentoo"],
        "mass": [3750, 3800, 3700, 5000, 5700],
    }
)"""
PICK = "chosen = penguins[(penguins.species == species) & (penguins.mass >= lightest.value)]"
MEAN = 'print(f"{species}: {len(chosen)} birds, {chosen.mass.mean():.0f} g")'

STORY: tuple[Step, ...] = (
    Ada("load", LOAD, "", "loads a table"),
    Ada("species", 'species = "Adelie"', "", "chooses a species"),
    Ada("lightest", "lightest = mo.ui.slider(3000, 6000, step=100)", "", "makes a slider"),
    Ada("pick", PICK, "", "picks the rows"),
    Ada("mean", MEAN, "Adelie: 2 birds, 3775 g", "sums them up"),
    # Joining
    Call("list_kernels", {}, ("penguins.ipynb", "reactive"), "The agent looks which notebooks are open."),
    Call(
        "connect_to_kernel",
        {"notebook": "penguins.ipynb"},
        ("k1", "idle"),
        "It joins the kernel of the one that Ada means. Nothing is started.",
    ),
    # Looking
    Call("list_cells", {}, ("Hbol v1", "=> species", "<- chosen, species"), "It looks over the notebook."),
    Call(
        "read_cell",
        {"cell_id": "mean"},
        ("Adelie: 2 birds", "version 1"),
        "It reads the cell that shows the result.",
    ),
    Call("search_cells", {"query": "adelie"}, ("3 lines",), "Where does the name stand?"),
    Call("read_dataflow", {"variable": "species"}, ("is used by", "chosen"), "What hangs on `species`?"),
    Call("complete_code", {"code": "chosen.gro"}, ("groupby",), "What does the table offer?"),
    Call(
        "inspect_code",
        {"code": "chosen.groupby"},
        ("by", "function"),
        "And how is it called? Nothing is evaluated.",
    ),
    Call("list_variables", {}, ("5 rows, 2 columns", "UI element"), "What is in memory?"),
    Call(
        "read_variable",
        {"variable": "penguins", "limit": 2},
        ("species", "mass int64", "2 of 5 rows"),
        "What is in the table? The kernel tells without running code of Ada's objects.",
    ),
    Call(
        "execute_code",
        {"code": "penguins.groupby('species').mass.mean()", "scratch": True},
        ("Gentoo", "5350.0"),
        "A question that needs code, but no cell: `scratch` keeps it out of the graph.",
    ),
    # Changing
    Call(
        "preview_run",
        {"edits": [{"action": "change", "cell_id": "species", "version": 1, "code": 'species = "Gentoo"'}]},
        ("3 cells would run", '`species = "Gentoo"`'),
        "Ada asks for Gentoo. Before the change: what would it set off?",
    ),
    Call(
        "edit_cells",
        {"edits": [{"action": "change", "cell_id": "species", "version": 1, "code": 'species = "Gentoo"'}]},
        ("ok", "outputs changed"),
        "The agent changes the cell; what depends on it runs.",
    ),
    Sees("mean", "Gentoo: 2 birds, 5350 g"),
    Ada("species", 'species = "Chinstrap"', "", "changes her mind in the same cell"),
    Call(
        "edit_cells",
        {"edits": [{"action": "change", "cell_id": "species", "version": 2, "code": 'species = "Adelie"'}]},
        ("version",),
        "An agent that has not noticed is refused, and Ada's code stays.",
        refused="stale_version",
    ),
    Call(
        "list_ui_elements",
        {},
        ("mo.ui.slider", "from 3000 to 6000"),
        "Which controls has Ada made, and what do they take?",
    ),
    Call(
        "set_ui_value",
        {"element": "lightest", "value": 3600},
        ("ok", "because of it"),
        "It moves Ada's slider; the cells that read it run.",
    ),
    Call(
        "edit_cells",
        {
            "edits": [
                {"action": "add", "code": "heaviest = penguins.mass.max()"},
                {"action": "add", "code": 'print("heaviest:", heaviest)'},
                {"action": "change", "cell_id": "species", "version": 3, "code": 'species = "Gentoo"'},
            ]
        },
        ("new cells", "heaviest: 5700"),
        "Two new cells and a change, all or nothing.",
    ),
    Sees("mean", "Gentoo: 2 birds, 5350 g"),
    # Running
    Call(
        "edit_cells",
        {
            "edits": [{"action": "change", "cell_id": "species", "version": 4, "code": 'species = "Adelie"'}],
            "run": False,
        },
        ("not run", "stale"),
        "An edit need not run anything: what depends on it becomes stale.",
    ),
    Call(
        "run_cells",
        {"which": "stale"},
        ("ok", "outputs changed"),
        "Later, what is stale is run, each cell once.",
    ),
    Sees("mean", "Adelie: 2 birds, 3775 g"),
    Call(
        "run_cells",
        {"cell_ids": ["pick"]},
        ("ok", "because of it"),
        "One cell is run as it is, and then what depends on it.",
    ),
    Ada("mean", MEAN.replace(".mean", ".maen"), None, "mistypes a name"),
    Call("list_errors", {}, ("maen", "runtime"), "What is broken, and what helps?"),
    Call(
        "execute_code",
        {"code": "import time\nprint('working')\ntime.sleep(600)", "timeout": 0.5},
        ("running", "working", "read_run"),
        "Code that takes long: the call comes back, the run goes on.",
    ),
    Call("kernel_status", {}, ("busy", "of ours"), "Everybody can see what the kernel works on."),
    Call(
        "read_run",
        {"run_id": "{run}", "timeout": 0.5},
        ("running", "working"),
        "Waiting for it again, as often as it takes.",
    ),
    Call("interrupt_run", {"run_id": "{run}"}, ("interrupted",), "It is stopped, as the stop button would."),
    # The person's side
    Ada("agents", "%marimo pause", None, "wants to be alone for a while"),
    Call(
        "execute_code",
        {"code": "heaviest + 1"},
        ("%marimo resume",),
        "Reading goes on; running and changing is refused.",
        refused="paused",
    ),
    Ada("agents", "%marimo resume", None, "lets the agent go on"),
    # One document
    Opens(
        "mean",
        MEAN,
        "opens the page again, now with the extension, and corrects the name without running the cell",
    ),
    Call(
        "detect_sync_needed",
        {},
        ("The document in JupyterLab", "changed since it ran", "in the kernel only", "sync would run"),
        "Is the notebook as it ran? Ada's page has her text, the kernel that of the agent.",
    ),
    Call(
        "sync", {}, ("ok", "ran: MJUe, lEQa"), "What differs is run, each cell once: now Ada's text counts."
    ),
    Sees("mean", "Chinstrap: 1 birds, 3700 g"),
    Call(
        "edit_cells",
        {
            "edits": [
                {"action": "change", "cell_id": "species", "old": "Chinstrap", "new": "Gentoo"},
                {"action": "add", "type": "markdown", "code": "The heaviest are Gentoo.", "after": "mean"},
            ]
        },
        ("in the document;", "because of it"),
        "A text inside a cell, and Markdown: both are in Ada's notebook, unsaved, and what depends on them has run.",
    ),
    Sees("mean", "Gentoo: 2 birds, 5350 g"),
    Call("undo_edit", {"op_id": "{op}"}, ("ok",), "Ada would rather decide herself: it is taken back."),
    Sees("mean", "Chinstrap: 1 birds, 3700 g"),
    Call(
        "propose_edit",
        {
            "edits": [{"action": "change", "cell_id": "species", "old": "Chinstrap", "new": "Adelie"}],
            "note": "There is one Chinstrap only.",
        },
        ("A proposal: JupyterLab shows it",),
        "A proposal changes nothing; Ada's page shows it.",
    ),
    Accepts('species = "Gentoo"', "accepts it, with another species"),
    Call(
        "wait_for_decision",
        {"op_id": "{op}"},
        ("1 accepted", "edited", "Gentoo"),
        "What has she decided? Her own text, which has run.",
    ),
    Call(
        "propose_edit",
        {"edits": [{"action": "add", "type": "markdown", "code": "# Penguins", "after": ""}]},
        ("A proposal",),
        "A heading?",
    ),
    Call("withdraw_proposal", {"op_id": "{op}"}, ("withdrawn",), "No: it is taken back."),
    Call("diff_since", {"point": 0}, ("by the person", "by claude-code"), "Who has changed what?"),
    Call(
        "save_notebook",
        {},
        ("has saved",),
        "Ada asks to save: her JupyterLab does, and nobody behind its back.",
    ),
    Call("rename_notebook", {"new_name": "gentoo.ipynb"}, ("it is gentoo.ipynb",), "And to rename it."),
    # Files
    Call(
        "export_notebook",
        {"format": "json", "max_chars": 400},
        ("cells", "Characters 0 to 400"),
        "The notebook as it is now, to read or to write into a file; here as JSON.",
    ),
    Call(
        "import_notebook",
        {"file": "masses.ipynb"},
        ("masses.py", "`mass` is called `mass_1`"),
        "A notebook that was written for plain Jupyter, made reactive.",
    ),
    Call(
        "open_editor",
        {"app": True},
        ("could not be shown", "%marimo open"),
        "Ada asks for the notebook as an app. Her host cannot show her addresses, and there is no desktop here.",
    ),
    Call(
        "view_data",
        {"data": "penguins", "sort": ["mass desc"], "filter": [{"column": "species", "value": "Gentoo"}]},
        ("5 rows, 2 columns", "%marimo view penguins", "sorted by mass ↓, species = Gentoo"),
        "Ada wants to look at the table herself. It is sorted and filtered for her; the agent gets no row of it.",
    ),
    Call(
        "read_view",
        {},
        ("sorted by mass ↓, species = Gentoo", "penguins[(penguins['species'] == 'Gentoo')]"),
        "What does she see now? With her changes, and with Python for the rows on her screen.",
    ),
    Call(
        "cell_visualize",
        {"data": "penguins", "options": {"aggregate": "max"}},
        ("bar: max of mass by species",),
        "And a picture of it, for the agent as well: looking at a variable needs no code.",
    ),
    # For hosts
    Read("marimo://k1/variables/species", ("Gentoo",), "A host can show or attach what a tool would tell:"),
    Changes(
        "marimo://k1/cells/pick",
        Ada("species", 'species = "Adelie"', None, "asks for Adelie again"),
        "A host that subscribed to a cell is told when it changes, whoever changed it:",
    ),
    # State that survives
    Call(
        "save_checkpoint",
        {"name": "before lunch"},
        ("Saved", "before lunch"),
        "Ada goes to lunch: the values of all cells go to disk.",
    ),
    Call("list_checkpoints", {}, ("before lunch", "named"), "Which are there?"),
    Call(
        "restore_checkpoint",
        {"name": "before lunch", "preview": True},
        ("Would restore",),
        "If the kernel ended now, what would come back, and what would have to run again?",
    ),
    Call("delete_checkpoint", {"name": "before lunch"}, ("deleted",), "It is not needed."),
    # Notebooks of one's own
    Call(
        "list_templates",
        {},
        ("blank", "data_analysis"),
        "With the permission `all`, a notebook of its own. From what?",
    ),
    Call(
        "create_notebook",
        {"name": "heavy", "template": "data_analysis", "parameters": {"lightest_mass": 5000}},
        ("a new kernel", "heavy.ipynb"),
        "A file with a kernel. The handle stays when the server or the kernel ends.",
    ),
    Call(
        "list_notebooks", {}, ("heavy · active",), "It is in the list, also of other servers and later ones."
    ),
    Call(
        "close_notebook",
        {"notebook": "heavy.ipynb"},
        ("closed", "open_notebook"),
        "The file is saved and the kernel ends; it would end by itself, too, if nobody used it.",
    ),
    Call(
        "open_notebook",
        {"notebook": "heavy.ipynb"},
        ("a new kernel",),
        "Another day: a new kernel that knows the cells.",
    ),
    Call(
        "delete_notebook",
        {"notebook": "heavy.ipynb"},
        ("its file stays",),
        "It leaves the list; the file stays.",
    ),
    # Kernels of one's own
    Call(
        "list_kernelspecs",
        {},
        ("marimo (reactive Python)", "not reactive"),
        "Which kernels could be started?",
    ),
    Call(
        "start_kernel",
        {"interpreter": ".venv"},
        ("k2", "idle", "shares nothing with the open notebooks"),
        "With the permission `all`, for work that no notebook shows: a kernel of its own, of the project's environment.",
    ),
    Call(
        "install_packages",
        {"packages": ["palmerpenguins>=0.1"], "kernel": "k2"},
        ("palmerpenguins: not there -> 0.1.4",),
        "What is missing there. Without the permission `all` Ada's client would ask her now.",
    ),
    Call(
        "control_kernel",
        {"action": "shut_down", "kernel": "k2"},
        ("shut down",),
        "With two kernels connected the handle must be given.",
    ),
    Call("disconnect_kernel", {}, ("runs on",), "Leaving. Ada's kernel goes on."),
)
