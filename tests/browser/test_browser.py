"""The lessons where readers meet them: in JupyterLab, in a real browser. Each is opened and worked through once."""

import json
import re
import time

import pytest
from labs import CLONE, git_status, needs_git
from lessons import LESSONS, NOTEBOOKS

sync_api = pytest.importorskip("playwright.sync_api", reason="no playwright: uv installs it")
axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="no axe-playwright-python: uv installs it")

NAMES = [name for name, lesson in LESSONS.items() if lesson.BROWSER]
PICTURE = 'img[src^="data:image/png"]'

STATE = """() => window.jupyterapp.shell.currentWidget.content.model.toJSON().cells
    .filter(cell => cell.cell_type === 'code' && cell.source.length)
    .map(cell => [cell.id, cell.execution_count, cell.outputs.some(out => out.output_type === 'error')])"""
RAN = """index => {  // its outputs have come when the kernel is idle again
    const {content, sessionContext} = window.jupyterapp.shell.currentWidget, {model} = content.widgets[index];
    const star = content.widgets[index].node.querySelector('.jp-InputPrompt').textContent.includes('*');
    return !star && model.executionCount !== null && sessionContext.session.kernel.status === 'idle';
}"""
SELECT = """([first, last]) => {
    const {content} = window.jupyterapp.shell.currentWidget;
    content.mode = 'command';
    content.deselectAll();
    content.activeCellIndex = first;
    if (last > first) content.extendContiguousSelectionTo(last);
    content.activate();
}"""
HAS_KEYS = """() => window.jupyterapp.shell.currentWidget.content.node.contains(document.activeElement)"""
WHERE = """index => {  // for who reads that a test has failed
    const {content, sessionContext} = window.jupyterapp.shell.currentWidget, cell = content.widgets[index];
    return JSON.stringify({
        index, prompt: cell.node.querySelector('.jp-InputPrompt')?.textContent, shown: cell.node.isConnected,
        count: cell.model.executionCount, kernel: sessionContext.session?.kernel?.status, mode: content.mode,
        active: content.activeCellIndex, keys: document.activeElement.outerHTML.slice(0, 100),
        dialog: document.querySelector('.jp-Dialog')?.innerText,
    });
}"""
PICTURE_OF = f"""index =>
    window.jupyterapp.shell.currentWidget.content.widgets[index].node.querySelector('.jp-OutputArea {PICTURE}')"""
IN_PAGE = """() => {  // by themselves, cells that are far away come into the page late, or not at all
    const {content} = window.jupyterapp.shell.currentWidget;
    content.notebookConfig = {...content.notebookConfig, windowingMode: 'none'};
}"""
IDLE = """() => window.jupyterapp?.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"""
WITHOUT_WORDS = """pictures => pictures.filter(picture => {
    const beside = picture.closest('.jp-OutputArea').querySelector('[data-mime-type="application/vnd.jupyter.stdout"]');
    return !beside?.innerText.trim() || !picture.alt.trim();
}).length"""
# Which part of a picture's height is to be seen in the notebook's window, when it has not moved for 15 frames. (Frames
# and not time: on a busy machine a page may have had none.)
IN_VIEW = """([picture, box]) => new Promise(done => {
    let before = null, still = 0;
    const look = () => {
        const seen = picture.getBoundingClientRect(), room = box.getBoundingClientRect();
        const part = (Math.min(seen.bottom, room.bottom) - Math.max(seen.top, room.top)) / seen.height;
        if (part !== before) [before, still] = [part, 0];
        ++still < 15 ? requestAnimationFrame(look) : done(part);
    };
    requestAnimationFrame(look);
})"""
# As JupyterLab does when a cell's size changes later: the next cell is scrolled to, when this one has ended.
SCROLL = """index => window.jupyterapp.shell.currentWidget.content.scrollToItem(index + 1, 'start')"""
SCROLL_LATER = f"""index => {{
    const star = window.jupyterapp.shell.currentWidget.content.widgets[index].node.querySelector('.jp-InputPrompt');
    window.scrolled = new Promise(done => new MutationObserver((_, seen) => {{
        if (star.textContent.includes('*')) return;
        seen.disconnect();
        setTimeout(() => done(({SCROLL})(index)), 500);
    }}).observe(star, {{childList: true}}));
}}"""

PROJECTOR = {"width": 1280, "height": 720}  # what is left of 1920 x 1080 at 150 %
CLIPPED = """([output, room]) => {  // what of an output the notebook's window does not show
    const view = room.getBoundingClientRect();
    return [...output.querySelectorAll("*")].filter(each => !each.children.length && !each.closest(".told"))
        .map(each => [each.outerHTML.slice(0, 100), each.getBoundingClientRect()])
        .filter(([, box]) => box.width && (box.left < view.left || box.right > view.right || box.top < view.top - 1
            || box.bottom > view.bottom + 1));
}"""


class Lesson:
    """A lesson in a page of its own, in which all its cells have run one after another by Shift + Enter."""

    def __init__(self, name, page):
        self.name, self.page, self.module = name, page, LESSONS[name]
        cells = json.loads((NOTEBOOKS / self.module.NOTEBOOK).read_text(encoding="utf-8"))["cells"]
        self.order = [cell["id"] for cell in cells]
        self.cells = [cell for cell in cells if cell["cell_type"] == "code"]
        self.pictures = [
            index for index, cell in enumerate(cells) if "data:image/png" in json.dumps(cell.get("outputs"))
        ]
        self.git_status = git_status() if CLONE else None
        self.keys = self.module.BROWSER.get("keys", ["ArrowRight", "ArrowLeft"])  # to turn the control there and back
        self.seen = {}  # from the id of a cell to the part of its picture that was in view when it had run

    def command(self, name, **options):
        return self.page.evaluate(
            "([name, options]) => window.jupyterapp.commands.execute(name, options)", [name, options]
        )

    def cell(self, identity):
        """Return the cell with this id."""
        index = self.page.evaluate(
            "id => window.jupyterapp.shell.currentWidget.content.widgets.findIndex(cell => cell.model.id === id)",
            identity,
        )
        return self.page.locator(".jp-Notebook-cell").nth(index)

    def work_through(self):
        """Run all cells from the top, and see how much of each new picture is in view.

        Those with a picture are run by Shift + Enter, as readers do; what is between them in one go, as by Run Selected
        Cells, which takes a browser less than half of the work.
        """
        page, run = self.page, 0
        window = page.locator(".jp-WindowedPanel-outer").element_handle()
        for index in [*self.pictures, len(self.order)]:
            if run < index:
                page.evaluate(SELECT, [run, index - 1])
                assert self.command("notebook:run-cell"), page.evaluate(STATE)
            if index == len(self.order):
                break
            page.evaluate(SELECT, [index, index])
            self.wait(HAS_KEYS, index)
            page.keyboard.press("Shift+Enter")
            self.wait(RAN, index)
            if picture := page.evaluate_handle(PICTURE_OF, index).as_element():
                page.wait_for_function("picture => picture.complete && picture.naturalHeight", arg=picture)
                self.seen[index] = page.evaluate(IN_VIEW, [picture, window])
                page.keyboard.press("Shift")  # the reader acts: from now on the picture does not come back
            run = index + 1
        page.evaluate(IN_PAGE)

    def wait(self, condition, index):
        """Wait until something is so; an error tells how the cell at this index is."""
        try:
            self.page.wait_for_function(condition, arg=index)
        except sync_api.TimeoutError as error:
            error.add_note(self.page.evaluate(WHERE, index))
            raise

    def panel(self):
        """Return the lesson's playground."""
        return self.page.locator(".jp-OutputArea-output", has=self.page.locator(".widget-box")).first


def turn(lesson, key):
    """Press a key on the playground's control; return the seconds until its words have changed. It keeps the focus."""
    panel, control = lesson.panel(), lesson.module.BROWSER["control"]
    panel.get_by_label(control, exact=True).first.focus()
    shown, before = panel.element_handle(), panel.locator("pre").first.inner_text()
    begin = time.perf_counter()
    lesson.page.keyboard.press(key)
    lesson.page.wait_for_function(  # each run's words are in an element of their own: look for it again
        "([panel, before]) => panel.querySelector('pre').innerText !== before", arg=[shown, before]
    )
    seconds = time.perf_counter() - begin
    assert panel.get_by_label(control, exact=True).first.evaluate("control => control === document.activeElement")
    return seconds


def answer(cell, page, name, value):
    """Type a value for the variable whose name so begins in place of the one that stands there, and run the cell."""
    line = cell.locator(".cm-line", has_text=name)
    before = line.inner_text()
    line.click()
    page.keyboard.press("Home")
    page.keyboard.press("Shift+End")
    page.keyboard.insert_text(f"{before.split('=')[0].strip()} = {value}")
    page.keyboard.press("Shift+Enter")
    page.wait_for_function(IDLE)


@pytest.fixture(scope="module", params=NAMES)
def lesson(request, jupyterlab, learner):
    """Open a lesson of LESSONS and work through it. Afterwards the learner's copy is as it was."""
    name = LESSONS[request.param].NOTEBOOK
    copy = learner.lessons / name
    clean = copy.read_bytes()
    with jupyterlab(name) as page:
        found = Lesson(request.param, page)
        found.work_through()
        yield found
    copy.write_bytes(clean)


def test_every_cell_runs_and_every_picture_is_there(lesson):
    state = lesson.page.evaluate(STATE)
    assert [name for name, count, error in state if count is None or error] == []
    plain = [cell for cell in lesson.cells if "nbval-ignore-output" not in cell["metadata"].get("tags", [])]
    stored = sum("data:image/png" in json.dumps(cell["outputs"]) for cell in plain)
    shown = sum(lesson.cell(cell["id"]).locator(PICTURE).count() > 0 for cell in plain)
    assert shown == stored > 0


def test_every_picture_has_its_words_beside_it(lesson):
    assert lesson.page.locator(f".jp-RenderedHTMLCommon {PICTURE}").evaluate_all(WITHOUT_WORDS) == 0


def test_the_new_picture_is_in_view_after_shift_enter(lesson, measured):
    assert lesson.seen
    least = min(lesson.seen.values())
    measured(
        f"{lesson.module.NOTEBOOK}: {least:.0%} to 100 % of {len(lesson.seen)} new pictures in view after Shift + Enter"
    )
    assert least >= 0.9, lesson.seen


def test_the_new_picture_comes_back_until_the_reader_acts(lesson):
    page, index = lesson.page, lesson.pictures[0]
    window = page.locator(".jp-WindowedPanel-outer").element_handle()
    page.evaluate(SELECT, [index, index])
    lesson.wait(HAS_KEYS, index)
    page.evaluate(SCROLL_LATER, index)
    page.keyboard.press("Shift+Enter")
    page.evaluate("() => window.scrolled")
    picture = page.evaluate_handle(PICTURE_OF, index)
    assert page.evaluate(IN_VIEW, [picture, window]) >= 0.9
    page.keyboard.press("Shift")
    page.evaluate(SCROLL, index)
    assert page.evaluate(IN_VIEW, [picture, window]) < 0.5


def test_each_stage_and_playground_can_be_seen_whole_on_a_projector(lesson):
    page, size = lesson.page, lesson.page.viewport_size
    for key in lesson.keys:
        turn(lesson, key)  # then it also tells how it was before
    page.set_viewport_size(PROJECTOR)
    room = page.locator(".jp-WindowedPanel-outer").element_handle()
    outputs = page.locator(".jp-OutputArea-output", has=page.locator(".udplab-stage, .widget-box")).all()
    for output in outputs:
        for slider in output.get_by_label("Time in the film").all():  # at its end, when all that waits is there
            slider.evaluate("slider => { slider.value = slider.max; slider.dispatchEvent(new Event('input')); }")
        output.evaluate("output => output.scrollIntoView({block: 'start'})")
        page.evaluate(IN_VIEW, [output.element_handle(), room])  # until it is still
        assert page.evaluate(CLIPPED, [output.element_handle(), room]) == []
        assert output.evaluate("output => output.scrollHeight - output.clientHeight") <= 1  # else it has a scrollbar
    page.set_viewport_size(size)
    assert len(outputs) >= 2


def test_the_playground_follows_its_control(lesson, measured):
    """By keyboard: as soon as the value has changed, without a button, the words tell of it."""
    times = sorted(turn(lesson, key) for key in lesson.keys * 5)
    median = times[len(times) // 2]
    measured(f"{lesson.module.NOTEBOOK}: from a control's move to the new picture {median * 1000:.0f} ms at the median")
    assert lesson.module.BROWSER["moved"] in lesson.panel().locator("pre").first.inner_text()


def test_a_menu_of_a_playground_has_the_arrow_keys(lesson):
    """JupyterLab would go to another cell."""
    menus = lesson.page.locator(".jp-OutputArea-output .widget-dropdown select").all()
    if not menus:
        pytest.skip("no menu in this lesson")
    for menu in menus:
        first = menu.evaluate("menu => menu.selectedIndex")
        menu.focus()
        for key, by in (("ArrowUp", -1), ("ArrowDown", 0)) if first else (("ArrowDown", 1), ("ArrowUp", 0)):
            lesson.page.keyboard.press(key)
            at = menu.evaluate("menu => [menu.selectedIndex, document.activeElement === menu]")
            assert at == [first + by, True]


def test_a_prediction_is_in_the_picture_and_in_its_words(lesson):
    """Typed in place of the three dots, it stands beside what the model says and what came."""
    name, guess, shown, words = lesson.module.BROWSER["guess"]
    page, order = lesson.page, lesson.order
    answer(lesson.cell(name), page, name="guess_", value=guess)
    for _ in order[order.index(name) + 1 : order.index(shown) + 1]:  # those between may hand it on
        page.keyboard.press("Shift+Enter")
        page.wait_for_function(IDLE)
    lesson.cell(shown).locator(f'img[alt*="you: {words}"]').wait_for()
    told = re.compile(r"you: [^\n]+, kernel: ")
    page.locator(".jp-OutputArea-output", has_text=told).first.wait_for()


def test_an_exercise_says_what_is_wrong_and_then_that_it_is_right(lesson):
    name, wrong, words, right = lesson.module.BROWSER["exercise"]
    cell = lesson.cell(name)
    for value, verdict in ((wrong, words), (right, "Right.")):
        answer(cell, lesson.page, name="answer = ", value=value)
        cell.locator(".jp-OutputArea-output", has_text=verdict).wait_for()


@needs_git
def test_git_sees_no_change_after_a_whole_lesson(lesson):
    lesson.command("docmanager:save")
    lesson.page.wait_for_function("window.jupyterapp.shell.currentWidget.context.model.dirty === false")
    assert git_status() == lesson.git_status


@pytest.mark.parametrize("theme", ["Light", "Dark"])
def test_nothing_bars_the_way_for_people_with_disabilities(lesson, theme):
    lesson.command("apputils:change-theme", theme=f"JupyterLab {theme}")
    lesson.page.locator(f"body[data-jp-theme-name='JupyterLab {theme}']").wait_for(state="attached")
    scope = {"include": [[".jp-RenderedMarkdown"], [".jp-OutputArea-output"]]}
    violations = axe.Axe().run(lesson.page, context=scope).response["violations"]
    grave = [each for each in violations if each["impact"] in ("serious", "critical")]
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in grave] == []


def test_pictures_for_the_readme(lesson, pytestconfig):
    if not (lesson.module.BROWSER.get("picture") and pytestconfig.getoption("pictures")):
        pytest.skip("only with --pictures, and of the lessons that the README shows")
    name, theme = lesson.module.BROWSER["picture"]
    lesson.command("apputils:change-theme", theme=theme)
    lesson.page.locator(f"body[data-jp-theme-name='{theme}']").wait_for(state="attached")
    lesson.page.set_viewport_size({"width": 1280, "height": 1000})  # room for all of it
    lesson.panel().locator(".widget-box").first.screenshot(path=NOTEBOOKS.parent / ".github" / name)
