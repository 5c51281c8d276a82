"""The pictures of the studio's page: every room with something finished in it, wide and narrow.

    python tests/docs_studio.py --runs FOLDER [--room explore …] [--whole FOLDER]

writes docs/images/studio/<room>-<width>.png of runs in FOLDER, which stays as it is: it works with
a copy. Each room takes the first run there of a family that suits it; to fill all of them FOLDER
holds a vae, a style-gan, a diffusion model and a pix2pix or cyclegan of pictures, on data that can
be opened. At 1280 pixels a picture is the whole page, at 390 one screen of a phone, with the result
in it; `--whole` keeps the phone's whole pages elsewhere. It needs the extra `dev` and a Chromium.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops
from playwright.sync_api import Browser, Page, expect, sync_playwright

from docs_code import DOCS

PICTURES = DOCS / "images" / "studio"
ROOMS = (
    "generate",
    "explore",
    "interpolate",
    "mix",
    "translate",
    "audit",
    "compare",
    "guess",
    "train",
)
WIDTHS = (1280, 390)
SCREEN = 844
"""Pixels that a phone shows at once."""
LIGHT = 120_000
"""Bytes of a picture, at most."""
TALLEST = 1500
"""Pixels of the wide page, at most."""
MARGIN = 16
PATIENCE = 240_000  # ms: a busy machine
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
LOADED = """
name => [...document.querySelectorAll(`#${name} img`)].every(picture => {
  picture.loading = 'eager';  // not only what is in sight
  return picture.complete;
})
"""
NEVER = "footer, .toast-wrap { display: none !important }"
"""What no picture shows: the page's foot, and notes that come and go."""


@dataclass(frozen=True)
class Scene:
    """One room with something in it.

    Attributes:
        title: of its tab.
        families: the first of these that has a run is chosen.
        play: makes something in it, and waits until it is there.
        result: what a phone's screen shows the top of.
    """

    title: str
    families: tuple[str, ...]
    play: Callable[[Page, Runs], None]
    result: str


@dataclass(frozen=True)
class Runs:
    """A copy of the runs.

    Attributes:
        folder: where it is.
        families: of each run, by its name.
    """

    folder: Path
    families: dict[str, str]

    def of(self, families: Sequence[str]) -> list[str]:
        """Names of the runs of some families, in the families' order."""
        return [n for wanted in families for n, found in self.families.items() if found == wanted]


def main() -> None:
    words = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    words.add_argument("--runs", type=Path, required=True, help="a folder that holds trained runs")
    words.add_argument("--room", action="append", choices=ROOMS, help="only these")
    words.add_argument("--whole", type=Path, help="where to keep phones' whole pages as well")
    args = words.parse_args()
    PICTURES.mkdir(parents=True, exist_ok=True)
    with copied(args.runs) as runs, opened(runs) as pages:
        for room in args.room or ROOMS:
            for width, page in pages.items():
                began = time.monotonic()
                path = PICTURES / f"{room}-{width}.png"
                taken = shot(page, room, runs, width, args.whole)
                path.write_bytes(taken)
                spent = time.monotonic() - began
                print(f"{path.name}: {len(taken):,} bytes, {spent:.0f} s", flush=True)


@contextmanager
def copied(source: Path) -> Iterator[Runs]:
    """Runs to play with: trainings begin there, guesses are kept there."""
    with tempfile.TemporaryDirectory(prefix="studio-") as work:
        top = Path(work) / "runs"
        families = {}
        for recipe in sorted(source.glob("*/recipe.json")):
            name = recipe.parent.name
            shutil.copytree(recipe.parent, top / name, ignore=shutil.ignore_patterns("train.pt"))
            told = json.loads(recipe.read_text(encoding="utf-8"))
            told["spec"]["name"] = Path(told["spec"]["name"]).name  # not where the data lie here
            (top / name / "recipe.json").write_text(json.dumps(told), encoding="utf-8")
            families[name] = told["family"]
        yield Runs(top, families)


@contextmanager
def opened(runs: Runs) -> Iterator[dict[int, Page]]:
    """The studio in a page of each width."""
    from latentia.studio.app import build, served
    from latentia.studio.shelf import Shelf

    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    expect.set_options(timeout=PATIENCE)
    with served(build(Shelf([runs.folder]), runs.folder)) as address, sync_playwright() as tools:
        browser = tools.chromium.launch(executable_path=program, args=["--no-sandbox"])
        pages = {width: page_of(browser, width, address) for width in WIDTHS}
        yield pages
        at_rest(pages[WIDTHS[0]])
        browser.close()


def at_rest(page: Page) -> None:
    """End a training that is under way."""
    page.reload()
    expect(page.locator("#facts")).to_contain_text("can ")
    enter(page, SCENES["train"].title)
    page.wait_for_timeout(2000)
    if page.locator("#train-stop").is_visible():
        page.locator("#train-stop").click()
        expect(page.locator("#train-stop")).to_be_hidden()


def page_of(browser: Browser, width: int, address: str) -> Page:
    narrow = width < 600
    screen = {"width": width, "height": SCREEN if narrow else 900}
    page = browser.new_context(viewport=screen, is_mobile=narrow, has_touch=narrow).new_page()
    page.set_default_timeout(PATIENCE)
    enter_studio(page, address)
    return page


def enter_studio(page: Page, address: str) -> None:
    page.goto(address)
    expect(page.locator("#facts")).to_contain_text("can ")
    page.add_style_tag(content=NEVER)


# the camera


def shot(page: Page, room: str, runs: Runs, width: int, whole: Path | None) -> bytes:
    """A room after its scene was played."""
    scene = SCENES[room]
    choose(page, runs, scene.families)
    enter(page, scene.title)
    scene.play(page, runs)
    page.mouse.move(0, 0)
    page.wait_for_timeout(700)  # fonts, curtains and bars come to rest
    if width > 600:
        return packed(trimmed(page.screenshot(full_page=True)))
    if whole is not None:
        whole.mkdir(parents=True, exist_ok=True)
        page.screenshot(full_page=True, path=whole / f"{room}-{width}-whole.png")
    top = page.locator(scene.result).first.evaluate(
        "it => it.getBoundingClientRect().top + window.scrollY"
    )
    page.evaluate("to => window.scrollTo(0, to)", max(0, top - MARGIN))
    page.wait_for_timeout(200)
    return packed(Image.open(io.BytesIO(page.screenshot())))


def trimmed(png: bytes) -> Image.Image:
    """Without the empty ground below and beside the page."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    ground = Image.new("RGB", image.size, image.getpixel((0, 0)))
    box = ImageChops.difference(image, ground).getbbox() or (0, 0, *image.size)
    low = min(image.height, box[3] + MARGIN, TALLEST)
    return image.crop((max(0, box[0] - MARGIN), 0, min(image.width, box[2] + MARGIN), low))


def packed(image: Image.Image) -> bytes:
    """PNG of few colours, light enough for a page."""
    for colours in (256, 128, 64, 32):
        out = io.BytesIO()
        few = image.convert("RGB").quantize(colours, dither=Image.Dither.NONE)
        few.save(out, format="PNG", optimize=True)
        if out.tell() <= LIGHT:
            break
    return out.getvalue()


# hands


def choose(page: Page, runs: Runs, families: Sequence[str]) -> None:
    """Choose a run at the top."""
    names = runs.of(families)
    if not names:
        sys.exit(f"There is no run of {' or '.join(families)} for this room.")
    if page.locator("#run input").input_value() != names[0]:
        page.locator("#run input").click()
        page.get_by_role("option", name=names[0], exact=True).click()
    expect(page.locator("#facts")).to_contain_text(runs.families[names[0]])
    page.wait_for_timeout(1000)


def enter(page: Page, title: str) -> None:
    """Open a room by its tab, once it is there for the run."""
    end = time.monotonic() + PATIENCE / 1000
    while not _entered(page, title):
        if time.monotonic() > end:
            sys.exit(f"There is no room {title!r} for this run.")
        page.wait_for_timeout(300)
    page.wait_for_timeout(500)


def _entered(page: Page, title: str) -> bool:
    """By the tab itself, or by the menu of those that have no place beside the others."""
    tab, menu = (
        page.get_by_role("tab", name=title, exact=True),
        page.locator("#rooms .overflow-menu"),
    )
    if tab.count() and tab.first.is_visible():
        tab.first.click()
        return True
    if not (menu.count() and menu.locator("> button").is_visible()):
        return False
    menu.locator("> button").click()
    entry = menu.get_by_text(title, exact=True)
    if entry.count() and entry.first.is_visible():
        entry.first.click()
        return True
    menu.locator("> button").click()
    return False


def fill(page: Page, name: str, value: object) -> None:
    box = page.locator(f"#{name} input[type=number]").first
    box.fill(str(value))
    box.press("Tab")


def drawn(page: Page, name: str) -> None:
    """Wait for a picture, all of it."""
    picture = page.locator(f"#{name} img").first
    expect(picture).to_be_attached()  # out of sight it is empty until it is asked for
    page.wait_for_function(LOADED, arg=name)
    expect(picture).to_be_visible()


# scenes


def generate(page: Page, runs: Runs) -> None:
    fill(page, "generate-count", 24)
    page.locator("#generate-go").click()
    expect(page.locator("#generate-note")).to_contain_text("Seeds 0 to 23.")
    drawn(page, "generate-gallery")


def explore(page: Page, runs: Runs) -> None:
    drawn(page, "explore-map")
    before = page.locator("#explore-picture img").get_attribute("src")
    page.locator("#explore-slider-0 input[type=range]").focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelector('#explore-picture img').src !== before", arg=before
    )
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(2000)  # the last of the moves, and the map's ring


def interpolate(page: Page, runs: Runs) -> None:
    page.locator("#interpolate-go").click()
    expect(page.locator("#interpolate-note")).to_contain_text("smoothness")
    drawn(page, "interpolate-strip")
    drawn(page, "interpolate-loop")


def mix(page: Page, runs: Runs) -> None:
    fill(page, "mix-rows", 4)
    fill(page, "mix-columns", 6)
    page.locator("#mix-go").click()
    drawn(page, "mix-table")


def translate(page: Page, runs: Runs) -> None:
    page.locator("#translate-own").click()
    expect(page.locator("#translate-file a, #translate-file .file").first).to_be_visible()
    page.locator("#translate-go").click()
    expect(page.locator("#translate-words")).to_contain_text("→")
    drawn(page, "translate-shown")


def audit(page: Page, runs: Runs) -> None:
    page.wait_for_timeout(2000)
    if "rare kinds" not in page.locator("#audit-words").inner_text():
        fill(page, "audit-minutes", 0.3)
        page.locator("#audit-go").click()
    expect(page.locator("#audit-words")).to_contain_text("rare kinds")
    page.locator("#audit-kind").get_by_label("Rare kinds").check()
    page.wait_for_function("() => document.querySelectorAll('#audit-gallery img').length > 3")
    drawn(page, "audit-gallery")


def compare(page: Page, runs: Runs) -> None:
    chosen = runs.of(("vae", "gan", "style-gan"))[:3]
    box = page.locator("#compare-runs")
    if box.locator(".remove-all").is_visible():
        box.locator(".remove-all").click()
    for name in chosen:
        box.locator("input").click()
        page.get_by_role("option", name=name, exact=True).last.click()
    page.keyboard.press("Escape")
    page.locator("#compare-go").click()
    drawn(page, "compare-gallery")


def guess(page: Page, runs: Runs) -> None:
    """A sitting of four, for the table; then one in play."""
    for pictures, answers in ((4, 4), (8, 3)):
        fill(page, "guess-count", pictures)
        page.locator("#guess-begin").click()
        for i in range(1, answers + 1):
            where = page.locator("#guess-where")
            expect(where).to_contain_text(f"Picture {i} of {pictures}")
            page.locator("#guess-real" if i % 2 else "#guess-fake").click()
    expect(page.locator("#guess-where")).to_contain_text("Picture 4 of 8")


def train(page: Page, runs: Runs) -> None:
    page.reload()  # another page may have begun one
    expect(page.locator("#facts")).to_contain_text("can ")
    page.add_style_tag(content=NEVER)
    choose(page, runs, SCENES["train"].families)
    enter(page, SCENES["train"].title)
    if not page.locator("#train-stop").is_visible():
        fill(page, "train-minutes", 3)
        page.locator("#train-start").click()
    expect(page.locator("#train-state")).to_contain_text(re.compile(r"\b([2-9]\d)% done"))
    drawn(page, "train-previews")
    page.wait_for_timeout(2500)


SCENES = {
    "generate": Scene("Generate", ("diffusion", "gan", "vae"), generate, "#generate-gallery"),
    "explore": Scene("Explore", ("vae",), explore, "#explore-see"),
    "interpolate": Scene(
        "Interpolate", ("diffusion", "vae", "gan"), interpolate, "#interpolate-strip"
    ),
    "mix": Scene("Mix styles", ("style-gan",), mix, "#mix-go"),
    "translate": Scene("Translate", ("pix2pix", "cyclegan"), translate, "#translate-shown"),
    "audit": Scene("Audit", ("vae",), audit, "#audit-gallery"),
    "compare": Scene("Compare", ("vae",), compare, "#compare-go"),
    "guess": Scene("Which one is real?", ("diffusion", "gan", "vae"), guess, "#guess-begin"),
    "train": Scene("Train", ("vae",), train, "#train-state"),
}


if __name__ == "__main__":
    main()
