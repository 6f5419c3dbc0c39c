"""Saves a plotly figure as a small PNG file, as Chromium draws it; Chromium must be on the path."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import plotly.graph_objects as go
from PIL import Image
from playwright.sync_api import sync_playwright


def save(figure: go.Figure, picture: Path, width: int, height: int) -> None:
    """Draw a figure in so many pixels."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as browsers:
        page_file, shot = Path(folder) / "plot.html", Path(folder) / "plot.png"
        figure.write_html(page_file)
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width + 20, "height": height + 20})
        page.goto(page_file.as_uri(), timeout=120_000)
        page.locator("svg.main-svg").first.wait_for(timeout=120_000)
        page.locator(".plot-container").first.screenshot(path=shot)
        browser.close()
        with Image.open(shot) as image:
            image.convert("RGB").quantize(64).save(picture, optimize=True)
