"""The lessons where readers meet them: in JupyterLab, in a real browser. Each lesson is opened and run once."""

import json
import re
import time

import pytest

from udplab.__main__ import NOTEBOOKS

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: uv installs it")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python: uv installs it")

PATIENCE = 120_000  # ms: for what only has to come, on a machine that has much else to do
SOON = 500  # ms: a first frame, or an end, that feels immediate

WATCH = """panel => {  // keeps in window.seen when (ms) what happened after the last click on Run
    window.seen ??= {bar: []};
    panel.addEventListener('click', event => {
        const name = event.target.closest('button')?.title;
        if (name === 'Run') window.seen = {bar: []};
        if (name) window.seen[name] = performance.now();
    }, true);
    new MutationObserver(changes => {
        for (const {target, attributeName} of changes) {
            const seen = window.seen;
            if (attributeName === 'src') target.decode().then(() => { seen.frame ??= performance.now(); }, () => {});
            if (target.matches?.('.progress-bar')) seen.bar.push(parseFloat(target.style.width));
            const status = target.querySelector?.(':scope > [role=status]')?.textContent;
            if (status && status !== 'Running.') [seen.end, seen.status] = [performance.now(), status];
        }
    }).observe(panel, {subtree: true, childList: true, attributes: true});
}"""

WITHOUT_TWIN = """outputs => outputs.filter(output => {  // of those that hold a picture
    const beside = output.closest('.jp-OutputArea').querySelector('[data-mime-type="application/vnd.jupyter.stdout"]');
    return !beside?.innerText.trim();
}).length"""


@pytest.fixture(scope="class")
def page(browser, browser_context_args, lab, request):
    """A page in which the lesson of the test's class is open, and all its cells have run."""
    context = browser.new_context(**browser_context_args)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(
        lab.replace("/lab?", f"/lab/tree/{request.cls.name}?reset&"), timeout=PATIENCE
    )  # reset: without what was open before
    page.wait_for_function(
        """() => {
            const panel = window.jupyterapp?.shell.currentWidget;
            return panel?.sessionContext?.session?.kernel?.status === 'idle';
        }""",
        timeout=PATIENCE,
    )
    page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    yield page
    context.close()


@pytest.fixture(scope="class")
def panel(page):
    """The lesson's playground, watched."""
    panel = page.locator(".jp-OutputArea-output", has=page.locator(".widget-box")).first
    panel.evaluate(WATCH)
    return panel


def press(panel, name):
    panel.get_by_role("button", name=name).click()


def finish(panel):
    """Wait until a run has ended as it should; return its `window.seen`."""
    try:
        panel.page.wait_for_function("window.seen.end", timeout=PATIENCE)
    except sync_api.TimeoutError:
        pytest.fail(f"the run did not end: {panel.page.evaluate('window.seen')}, {panel.inner_text()}")
    seen = panel.page.evaluate("window.seen")
    assert seen["status"].startswith(("Done", "Stopped")), panel.inner_text()
    return seen


def until_soon():
    """Yield a list for measured delays (ms) again and again, until one is short enough.

    A panel that is too slow never has one. A machine that is busy with other tests has, when these are done.
    """
    delays, end = [], time.monotonic() + PATIENCE / 1000
    while min(delays, default=SOON) >= SOON and time.monotonic() < end:
        yield delays


class Lesson:
    """What every lesson must do. Subclasses name the notebook and what is tried in it.

    control: the label of the playground's control that is moved; twin: what the text twin then says of its value
    steps: how many values between nothing and all the progress bar must show
    long: a control's label, and the value with which a run lasts long enough to be stopped by hand
    keys: what is pressed to change the control without a mouse
    exercise: the id of its cell, a wrong answer, words of the verdict on it, a right answer
    picture: its name and theme, where the README shows the playground
    """

    keys, steps, long, picture = ("ControlOrMeta+a", *"9000", "ArrowDown"), 2, None, None

    def value(self, panel):
        return panel.get_by_label(self.control).input_value()

    def change_by_mouse(self, panel):
        """Click on the upper arrow at the right end of the control's field."""
        field = panel.get_by_label(self.control)
        box = field.bounding_box()
        field.click(position={"x": box["width"] - 8, "y": box["height"] / 4})

    def changed(self, panel):
        """Wait for what the changed control has led to by itself: nothing, but in lesson 2-4."""

    def shows(self, panel):
        """Wait until the text twin tells of the control's present value."""
        panel.locator("pre", has_text=self.twin.format(self.value(panel))).wait_for(timeout=PATIENCE)

    def test_every_cell_runs_and_every_plot_is_there(self, page):
        state = page.evaluate(
            """() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells
                .filter(cell => cell.cell_type === 'code')
                .map(cell => [cell.id, cell.execution_count, cell.outputs.some(out => out.output_type === 'error')])"""
        )
        assert [name for name, count, error in state if count is None or error] == []
        cells = json.loads((NOTEBOOKS / self.name).read_text(encoding="utf-8"))["cells"]
        stored = sum("image/png" in output.get("data", {}) for cell in cells for output in cell.get("outputs", []))
        assert page.locator(".jp-RenderedImage img").count() == stored - 1 > 0  # the panel has taken the place of one

    def test_every_picture_has_its_text_twin_beside_it(self, page):
        assert page.locator(".jp-RenderedImage").evaluate_all(WITHOUT_TWIN) == 0

    def test_the_playground_by_mouse(self, page, panel):
        before = self.value(panel)
        self.change_by_mouse(panel)
        assert self.value(panel) != before
        for delays in until_soon():
            press(panel, "Run")
            seen = finish(panel)
            delays.append(seen.get("frame", seen["end"]) - seen["Run"])  # a picture like the last one is not sent again
        assert min(delays) < SOON, f"ms from Run to the first frame: {delays}"
        between = [width for width in seen["bar"] if 0 < width < 100]
        assert len(set(between)) >= self.steps and between == sorted(between)
        self.shows(panel)

    def test_the_playground_by_keyboard(self, page, panel):
        before = self.value(panel)
        panel.locator("xpath=ancestor::*[contains(@class, 'jp-Cell ')]").focus()
        self.tab_to(page, f"e => e.labels?.[0]?.innerText === {self.control!r}")
        for key in self.keys:
            page.keyboard.press(key)
        assert self.value(panel) != before
        self.changed(panel)
        self.tab_to(page, "e => e.title === 'Run'")
        page.keyboard.press("Space")
        finish(panel)
        self.shows(panel)
        assert page.evaluate("document.activeElement.title") == "Run"  # the reader's place is not lost
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.title") == "Stop"

    def tab_to(self, page, there):
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate(f"({there})(document.activeElement)"):
                return
        pytest.fail(f"30 times Tab did not lead to {there}")

    def test_the_playground_stops_and_runs_again(self, page, panel):
        if self.long:
            label, value = self.long
            before = panel.get_by_label(label).input_value()
            panel.get_by_label(label).fill(value)
        for delays in until_soon():
            press(panel, "Run")
            page.wait_for_function("window.seen.frame || window.seen.end")
            press(panel, "Stop")
            seen = finish(panel)
            if not self.long or seen["status"].startswith("Stopped:"):  # else it was done before: try again
                delays.append(max(0, seen["end"] - seen["Stop"]))
        assert delays and min(delays) < SOON, f"ms from Stop to the end: {delays}"
        if self.long:
            assert seen["status"].startswith("Stopped:")
            panel.get_by_label(label).fill(before)
        press(panel, "Run")
        total = re.match(r"Done: (\d+) of (\d+) ", finish(panel)["status"])
        assert total[1] == total[2]

    def test_an_exercise_says_what_is_wrong_and_then_that_it_is_right(self, page):
        name, wrong, words, right = self.exercise
        index = page.evaluate(
            "id => window.jupyterapp.shell.currentWidget.content.widgets.findIndex(cell => cell.model.id === id)", name
        )
        cell = page.locator(".jp-Notebook-cell").nth(index)
        for answer, verdict in ((wrong, words), (right, "Right.")):
            cell.locator(".cm-line").first.click()
            page.keyboard.press("ControlOrMeta+Home")
            page.keyboard.press("Shift+End")
            page.keyboard.type(f"answer = {answer}")
            page.keyboard.press("Shift+Enter")
            cell.locator(".jp-OutputArea-output", has_text=verdict).wait_for(timeout=PATIENCE)

    @pytest.mark.parametrize("theme", ["Light", "Dark"])
    def test_nothing_bars_the_way_for_people_with_disabilities(self, page, panel, theme):
        page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})",
                      f"JupyterLab {theme}")  # fmt: skip
        page.locator(f"body[data-jp-theme-name='JupyterLab {theme}']").wait_for(state="attached")
        # JupyterLab gives a plot no alt text, so the twin beside it is tested above.
        scope = {
            "include": [[".jp-RenderedMarkdown"], [".jp-OutputArea-output"]],
            "exclude": [[".jp-RenderedImage img"]],
        }
        violations = axe.Axe().run(page, context=scope).response["violations"]
        grave = [each for each in violations if each["impact"] in ("serious", "critical")]
        assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave] == []

    def test_pictures_for_the_readme(self, page, panel, pytestconfig):
        if not (self.picture and pytestconfig.getoption("pictures")):
            pytest.skip("only with --pictures, and of the lessons that the README shows")
        name, theme = self.picture
        page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', {theme: name})", theme)
        press(panel, "Run")
        finish(panel)
        self.shows(panel)
        page.set_viewport_size({"width": 1280, "height": 1000})  # room for all of it
        panel.locator(".widget-box").first.screenshot(path=NOTEBOOKS.parent / ".github" / name)


class TestLoopback(Lesson):
    name = "2-1-loopback.ipynb"
    control, twin = "datagrams (100 to 20,000)", "{} round trips"
    long = "pause (0 to 20 ms)", "2"
    exercise = "exercise-count", "7", "7 is too small", "11"
    picture = "playground.png", "JupyterLab Light"


class TestRetry(Lesson):
    name = "2-2-retry.ipynb"
    control, twin = "questions (50 to 10,000)", "of {}, predicted"
    long = control, "10000"
    exercise = "exercise-odds", "0.28", "Not yet.", "(1 - 0.9 * 0.8) ** 3"


class TestMtu(Lesson):
    name = "2-3-mtu.ipynb"
    control, twin = "MTU of link 1 (200 to 9,000 bytes)", "link 1 (MTU {})"
    exercise = "exercise-largest", "1420", "1420 is too large", "1392"


class TestBroadcast(Lesson):
    name = "2-4-broadcast.ipynb"
    control, twin = "alice sends to", "alice sends to {}\n"
    keys = "Space", "d", "Enter"  # dave, whatever was chosen before
    steps = 0  # there is one datagram only
    exercise = "exercise-spread", "40", "Not yet.", "120"
    picture = "playground-dark.png", "JupyterLab Dark"

    def value(self, panel):
        return panel.get_by_label(self.control).locator("option:checked").inner_text().split(",")[-1].strip()

    def change_by_mouse(self, panel):
        panel.get_by_label(self.control).select_option("bob, 10.0.0.2")
        self.changed(panel)

    def changed(self, panel):  # it has run at once
        self.shows(panel)
        panel.get_by_role("status").filter(has_text="Done").wait_for()
