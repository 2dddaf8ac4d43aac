"""Run the penguins notebook once for each species, without a front end.

    python examples/batch.py FOLDER

Each notebook gets its species at the top of the page, as papermill's parameters do; nbclient runs it on the kernel
`marimo`, and what depends on the species is made from it. With papermill the same is:

    papermill penguins.ipynb Gentoo.ipynb -k marimo -p species Gentoo
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).parent
SPECIES = ("Adelie", "Chinstrap", "Gentoo")


def run(species: str, folder: Path) -> Path:
    """Run the notebook for a species; return the file that holds it with its outputs."""
    notebook = nbformat.read(HERE / "penguins.ipynb", as_version=4)
    (cell,) = [cell for cell in notebook.cells if cell.source.startswith("species = ")]
    cell.source = f"species = {species!r}"
    NotebookClient(notebook, kernel_name="marimo", resources={"metadata": {"path": str(HERE)}}).execute()
    target = folder / f"{species}.ipynb"
    nbformat.write(notebook, target)
    return target


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for species in SPECIES:
        print(run(species, folder))
