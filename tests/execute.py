"""Run notebooks and save them with their outputs: python tests/execute.py [NOTEBOOK ...]; without names, all of them.

What changes from run to run without need is left out: times of execution, states of widgets, versions.
"""

import subprocess
import sys
from pathlib import Path

import nbclient
import nbformat

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
VOLATILE = "metadata.widgets metadata.language_info cell.metadata.execution"


def execute(path):
    """Run one notebook from the top in a new kernel and save it; the outputs of widget cells are left out."""
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(path.parent)}}).execute()
    for cell in notebook.cells:
        if "nbval-ignore-output" in cell.metadata.get("tags", []):
            cell.outputs = []
    nbformat.write(notebook, path)
    command = [sys.executable, "-m", "nbstripout", "--keep-output", "--keep-count", "--keep-id"]
    subprocess.run([*command, "--extra-keys", VOLATILE, str(path)], check=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or sorted(NOTEBOOKS.glob("*.ipynb")):
        execute(Path(name).resolve())
        print(f"executed {name}")
