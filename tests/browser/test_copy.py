"""The learner's copy of a lesson, in the page that the address of `udplab` opens."""

import contextlib

import pytest
from labs import PATIENCE

from udplab.jupyter import copies

pytest.importorskip("playwright.sync_api", reason="no playwright: uv installs it")


def test_a_lesson_that_was_only_opened_and_saved_is_still_untouched(browser, learner):
    """And nothing is stored in it that was printed for somebody else."""
    with contextlib.closing(browser.new_page()) as page:
        page.set_default_timeout(PATIENCE)
        page.goto(learner.address)
        panel = "window.jupyterapp.shell.currentWidget"
        page.wait_for_function("window.jupyterapp")
        page.wait_for_function(f"{panel}?.sessionContext?.session?.kernel?.status === 'idle'")
        assert page.evaluate(f"{panel}.context.path") == "2-1-loopback.ipynb"
        assert page.locator(".jp-OutputArea-output").count() == 0
        page.evaluate(f"{panel}.context.model.dirty = true")
        page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
        page.wait_for_function(f"{panel}.context.model.dirty === false")
    copy = learner.lessons / "2-1-loopback.ipynb"
    assert "language_info" in copies.read(copy).metadata  # so it was saved
    assert copies.state(copy)[1]
