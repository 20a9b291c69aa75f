"""The learner's JupyterLab in a page that the tests of a process share: to load it costs a browser five seconds."""

import contextlib

import pytest
from labs import PATIENCE

IDLE = """path => {
    const panel = window.jupyterapp.shell.currentWidget;
    return panel?.context?.path === path && panel.sessionContext?.session?.kernel?.status === 'idle';
}"""
CLOSE = """async panel => {
    await panel.context.save();
    await panel.sessionContext.shutdown();
    panel.dispose();
}"""


@pytest.fixture(scope="session")
def jupyterlab(browser, browser_context_args, lab):
    """Yield a function: notebook(name) is a context with the page, in which a notebook of the learner is open.

    When it is left, its kernel is gone.
    """
    context = browser.new_context(**browser_context_args)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(lab.replace("/lab?", "/lab?reset&"), timeout=PATIENCE)
    page.wait_for_function("window.jupyterapp?.serviceManager.isReady")
    page.evaluate("async () => { await window.jupyterapp.restored; }")
    page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")

    @contextlib.contextmanager
    def notebook(name):
        page.evaluate("async path => { await window.jupyterapp.commands.execute('docmanager:open', {path}); }", name)
        page.wait_for_function(IDLE, arg=name)
        panel = page.evaluate_handle("window.jupyterapp.shell.currentWidget")
        try:
            yield page
        finally:
            page.evaluate(CLOSE, panel)

    yield notebook
    context.close()


@pytest.hookimpl(trylast=True)  # when pytest-random-order has shuffled
def pytest_collection_modifyitems(items):
    """In random order too, a lesson's tests stay together: each change of lesson runs the whole next one."""
    chosen = [index for index, item in enumerate(items) if "lesson" in getattr(item, "fixturenames", ())]
    lessons = [items[index].callspec.params["lesson"] for index in chosen]
    together = sorted(zip(lessons, chosen, strict=True), key=lambda each: lessons.index(each[0]))
    for index, item in zip(chosen, [items[place] for _, place in together], strict=True):
        items[index] = item
