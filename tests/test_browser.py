"""The lessons where readers meet them: in JupyterLab, in a real browser."""

import json

import pytest

from udplab.__main__ import NOTEBOOKS

LESSONS = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))


@pytest.fixture
def open_lesson(page, lab):
    """Return a function that opens a lesson, waits for its kernel and runs all cells."""

    def open_it(name):
        page.goto(lab.replace("/lab?", f"/lab/tree/{name}?reset&"))  # reset: without the lessons of earlier tests
        page.wait_for_function(
            """() => {
                const panel = window.jupyterapp?.shell.currentWidget;
                return panel?.sessionContext?.session?.kernel?.status === 'idle';
            }""",
            timeout=60_000,
        )
        page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
        return page

    return open_it


@pytest.mark.parametrize("name", LESSONS)
def test_every_cell_runs_every_plot_is_there_and_the_playground_can_be_run_twice(open_lesson, name):
    page = open_lesson(name)
    state = page.evaluate(
        """() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells
            .filter(cell => cell.cell_type === 'code')
            .map(cell => [cell.id, cell.execution_count, cell.outputs.some(out => out.output_type === 'error')])"""
    )
    assert [name for name, count, error in state if count is None or error] == []
    cells = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))["cells"]
    plots = sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))
    assert page.locator(".jp-RenderedImage img").count() == plots > 0

    panel = page.locator(".jp-OutputArea-output", has=page.locator(".widget-box")).first
    panel.scroll_into_view_if_needed()
    for _ in range(2):
        panel.get_by_role("button", name="Run").click()
        panel.get_by_text("Running.").wait_for(state="hidden", timeout=30_000)
        panel.get_by_text("Done:").wait_for(timeout=30_000)
        assert panel.locator("img").is_visible() and panel.locator("pre").inner_text()


def test_playground_runs_grows_and_stops(open_lesson, pytestconfig):
    page = open_lesson("2-1-loopback.ipynb")
    panel = page.locator(".jp-OutputArea-output", has=page.locator(".widget-box")).first
    panel.scroll_into_view_if_needed()
    number = panel.locator(".widget-readout").nth(1)
    number.click()
    number.fill("20000")
    number.press("Enter")
    run, stop = panel.get_by_role("button", name="Run"), panel.get_by_role("button", name="Stop")
    run.click()
    panel.locator("pre", has_text="round trips").wait_for(timeout=2_000)
    stop.click()
    panel.get_by_text("Stopped:").wait_for(timeout=2_000)
    run.click()
    panel.get_by_text("Done: 20000 of 20000").wait_for(timeout=20_000)
    if pytestconfig.getoption("pictures"):
        page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
        panel.scroll_into_view_if_needed()
        page.screenshot(path=NOTEBOOKS.parent / ".github" / "playground.png")
