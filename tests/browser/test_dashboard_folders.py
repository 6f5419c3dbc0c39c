"""What the dashboard shows of the folder it was given."""

from __future__ import annotations

import shutil
import signal

import pytest

pytestmark = pytest.mark.browser


def test_a_study_that_is_deleted_says_so_and_one_that_begins_appears(visit, tmp_path, study_directory, new_dashboard):
    folder = tmp_path / "studies"
    folder.mkdir()
    empty = new_dashboard(folder)
    page = visit(empty.address, ready="text=There is no study in")
    # It comes and goes at once: the dashboard never finds half of it.
    shutil.copytree(study_directory, tmp_path / "copied").rename(folder / "new")
    link = page.locator("a:text-is('new')")
    link.wait_for()
    link.click()
    page.locator("#front-plot .scatterlayer .point").first.wait_for()
    page.wait_for_function("document.images.length && [...document.images].every(image => image.complete)")
    (folder / "new").rename(tmp_path / "deleted")
    page.locator("#summary .failed:text-is('This study is no longer there.')").wait_for()
    page.close()
    assert empty.stop(signal.SIGINT) == (0, "", "")


def test_one_study_is_shown_at_once(visit, study_directory, new_dashboard):
    alone = new_dashboard(study_directory)
    page = visit(alone.address)
    page.locator("h1:has-text('penalty <b>study</b>')").wait_for()
    page.close()
    assert alone.stop() == (0, "", "")
