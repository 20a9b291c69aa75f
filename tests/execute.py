"""Run notebooks and save them with their outputs: python tests/execute.py [NOTEBOOK ...]; without names, all of them.

What changes from run to run without need is left out: times of execution, states of widgets, versions.
"""

import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
WIDGET = "application/vnd.jupyter.widget-view+json"
VOLATILE = "metadata.widgets metadata.language_info cell.metadata.execution"


def execute(path):
    """Run one notebook from the top in a new kernel and save it.

    What is stored of a panel is the picture and the text of one run, and nothing of other widgets: they live only as
    long as a kernel.
    """
    notebook = nbformat.read(path, as_version=4)
    panels = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.startswith("panel.")]
    sources = [cell.source for cell in panels]
    for cell in panels:
        cell.source = f"await {cell.source}.still()"
    place = {"metadata": {"path": str(path.parent)}}
    nbclient.NotebookClient(notebook, timeout=60, resources=place, coalesce_streams=True).execute()
    for cell, source in zip(panels, sources, strict=True):
        cell.source = source
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if WIDGET not in output.get("data", {})]
    nbformat.write(notebook, path)
    command = [sys.executable, "-m", "nbstripout", "--keep-output", "--keep-count", "--keep-id"]
    subprocess.run([*command, "--extra-keys", VOLATILE, str(path)], check=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(NOTEBOOKS.glob("*.ipynb")):
        execute(Path(name).resolve())
        print(f"executed {name}")
