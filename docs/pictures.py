"""Makes the pictures of the README from a finished study: ``python docs/pictures.py STUDY``.

Frames come from the preview of the trial that ``export --leakage-at-most`` would pick; the front is that of the study's
own report page, as Chromium shows it.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import anon_tune

PICTURES = Path(__file__).parent / "pictures"
FRAMES_WIDTH = 768
FRONT_WIDTH = 760


def frames(study: anon_tune.Study, leakage_at_most: float) -> None:
    """Enlarge the preview of the pick: original frames above, anonymized frames below."""
    pick = study.front.pick(leakage_at_most)
    with Image.open(Path(study.directory) / "trials" / pick.id / "preview.png") as preview:
        scale = max(1, FRAMES_WIDTH // preview.width)
        large = preview.convert("RGB").resize((preview.width * scale, preview.height * scale), Image.Resampling.NEAREST)
    large.quantize(128).save(PICTURES / "frames.png", optimize=True)
    print(f"frames.png: trial {pick.id}")


def front(study: anon_tune.Study) -> None:
    """Take a picture of the first chart of the section about the front."""
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as browsers:
        page_file = Path(str(study.report(Path(folder) / "report.html")))
        browser = browsers.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": FRONT_WIDTH, "height": 900}, color_scheme="light")
        page.goto(page_file.absolute().as_uri())
        chart = page.locator(".chart:has(svg.main-svg)").first
        chart.wait_for(timeout=120_000)
        picture = Path(folder) / "front.png"
        chart.screenshot(path=picture)
        browser.close()
        with Image.open(picture) as shot:
            shot.convert("RGB").quantize(128).save(PICTURES / "front.png", optimize=True)
    print("front.png")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", help="a finished study directory")
    parser.add_argument("--leakage-at-most", type=float, default=0.8)
    given = parser.parse_args()
    study = anon_tune.open_study(given.study)
    PICTURES.mkdir(exist_ok=True)
    frames(study, given.leakage_at_most)
    front(study)


if __name__ == "__main__":
    main()
