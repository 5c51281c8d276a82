"""The studio in a real browser: every room is used, nothing leaves this machine, nothing errs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio", reason="the studio needs gradio: pip install 'latentia[studio]'")
pytest.importorskip("playwright.sync_api", reason="the studio's tests need playwright")

from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

from games import TINY
from latentia.data.open import open_data
from latentia.fitting import fit
from latentia.studio.app import build, served
from latentia.studio.shelf import Shelf
from translating_verb import noise, save

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PROGRAM = next((found for name in BROWSERS if (found := shutil.which(name))), None)
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason=f"none of {', '.join(BROWSERS)} is installed"),
    pytest.mark.timeout(600),
]
NAMES = {"autoencoder": "plain"}
PATIENCE = 60_000  # ms, on a busy machine
QUIET_WORDS = ("favicon", "manifest.json")
"""Files that browsers ask for on their own."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Runs of a VAE, a GAN, a diffusion model, an autoencoder and a CycleGAN, hardly trained."""
    top = tmp_path_factory.mktemp("runs")
    for family in ("vae", "gan", "diffusion", "autoencoder"):
        small, name = TINY[family, open_data("digits").spec.kind], NAMES.get(family, family)
        fit("digits", model=family, examples=256, out=top / name, settings=small, quiet=True)
    for i in range(8):
        for kind, level in (("dark", 40), ("light", 200)):
            pixels = (noise(16, 16, 3, seed=i) // 8 + level).astype(np.uint8)
            save(pixels, top / "pictures" / kind / f"{i}.png")
    fit(
        top / "pictures",
        model="cyclegan",
        examples=16,
        out=top / "cyclegan",
        settings={"size": 16, "width": 8},
        quiet=True,
    )
    return top


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(build(Shelf([folder]), folder)) as where:
        yield where


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as tools:
        program = tools.chromium.launch(executable_path=PROGRAM, args=["--no-sandbox"])
        yield program
        program.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The studio's page; afterwards: no errors in its console, no request beyond this machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    here, asked, wrong = context.new_page(), [], []
    here.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    here.on("request", lambda request: asked.append(request.url))
    here.on("console", lambda told: wrong.append(told.text) if told.type == "error" else None)
    here.on("pageerror", lambda problem: wrong.append(str(problem)))
    here.goto(address)
    expect(here.locator("#facts")).to_contain_text("can ")
    yield here
    hosts = {urlsplit(url).hostname for url in asked if url.startswith(("http", "ws"))}
    context.close()
    assert hosts <= {"127.0.0.1", "localhost"}
    assert [w for w in wrong if not any(word in w for word in QUIET_WORDS)] == []


def choose(page: Page, run: str) -> None:
    """Choose a run at the top."""
    if page.locator("#run input").input_value() != run:
        page.locator("#run input").click()
        page.get_by_role("option", name=run, exact=True).click()
    family = next((family for family, name in NAMES.items() if name == run), run)
    expect(page.locator("#facts strong")).to_have_text(family)


def enter(page: Page, room: str) -> None:
    """Open a room by its tab."""
    page.get_by_role("tab", name=room, exact=True).click()


def source(picture: Locator) -> str:
    return picture.first.get_attribute("src") or ""


def test_generate_draws_and_hands_out_what_made_it(page: Page, tmp_path: Path) -> None:
    choose(page, "diffusion")
    enter(page, "Generate")
    page.locator("#generate-count input[type=number]").fill("4")
    page.locator("#generate-go").click()
    expect(page.locator("#generate-note")).to_contain_text("Seeds 0 to 3")
    expect(page.locator("#generate-gallery img").first).to_be_visible()
    with page.expect_download() as coming:
        page.locator("#generate-png").click()
    coming.value.save_as(tmp_path / "grid.png")
    with Image.open(tmp_path / "grid.png") as image:
        assert '"seeds": [0, 1, 2, 3]' in image.info["latentia"].replace("\n", " ")


def test_a_slider_changes_the_picture(page: Page) -> None:
    choose(page, "vae")
    enter(page, "Explore")
    picture, slider = page.locator("#explore-picture img"), page.locator("#explore-slider-0")
    expect(picture.first).to_be_visible()
    before = source(picture)
    slider.locator("input[type=range]").focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "before => document.querySelector('#explore-picture img').src !== before", arg=before
    )


def test_a_slider_says_why_it_changes_nothing(page: Page) -> None:
    choose(page, "vae")
    enter(page, "Explore")
    expect(page.locator("#explore-picture img").first).to_be_visible()
    page.get_by_text("The place in numbers").click()
    page.locator("#explore-latents textarea").fill("one, two")
    page.locator("#explore-slider-0 input[type=range]").focus()
    page.keyboard.press("ArrowRight")
    problem = page.locator("#explore-problem")
    expect(problem).to_contain_text("A place is a list of numbers")
    page.locator("#explore-random").click()
    expect(problem).not_to_contain_text("A place is a list of numbers")


def test_a_file_that_is_no_picture_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    choose(page, "vae")
    enter(page, "Explore")
    expect(page.locator("#explore-picture img").first).to_be_visible()
    mine = tmp_path / "mine.png"
    mine.write_text("no picture")
    page.locator("#explore-own input[type=file]").set_input_files(mine)
    told = page.locator(".toast-body")
    expect(told.first).to_contain_text("mine.png cannot be read as an image")


def test_a_picture_of_ones_own_is_encoded(page: Page, tmp_path: Path) -> None:
    choose(page, "vae")
    enter(page, "Explore")
    picture = page.locator("#explore-picture img")
    expect(picture.first).to_be_visible()
    before = source(picture)
    mine = tmp_path / "mine.png"
    Image.fromarray(noise(8, 8, 1, seed=3).squeeze()).save(mine)
    page.locator("#explore-own input[type=file]").set_input_files(mine)
    page.wait_for_function(
        "before => document.querySelector('#explore-picture img').src !== before", arg=before
    )


def test_a_model_that_does_not_encode_says_so(page: Page) -> None:
    choose(page, "gan")
    enter(page, "Explore")
    expect(page.locator("#explore-no-encoder")).to_be_visible()


@pytest.mark.parametrize("wide", [1280, 390])
def test_only_rooms_that_a_run_can_use_are_there(page: Page, wide: int) -> None:
    page.set_viewport_size({"width": wide, "height": 844})
    everywhere = ["Compare", "Train"]
    for run, own in (
        ("cyclegan", ["Translate"]),
        ("vae", ["Generate", "Explore", "Interpolate", "Audit", "Which one is real?"]),
        ("gan", ["Generate", "Explore", "Interpolate", "Which one is real?"]),
    ):
        choose(page, run)
        tabs = page.locator("#rooms").get_by_role("tab")
        expect(tabs).to_have_count(len(own) + len(everywhere))
        assert set(tabs.all_inner_texts()) == {*own, *everywhere}
        assert all(tab.is_visible() for tab in tabs.all())
        expect(page.get_by_role("button", name="More tabs")).to_have_count(0)


def test_a_room_that_does_not_fit_the_new_run_is_left(page: Page) -> None:
    def stands_in(room: str) -> None:
        tab = page.locator("#rooms").get_by_role("tab", name=room, exact=True)
        expect(tab).to_have_attribute("aria-selected", "true")

    choose(page, "vae")
    enter(page, "Explore")
    expect(page.locator("#explore-picture img").first).to_be_visible()
    choose(page, "cyclegan")
    stands_in("Translate")
    expect(page.locator("#explore-picture")).to_be_hidden()
    expect(page.locator("#translate-go")).to_be_visible()
    choose(page, "plain")  # neither samples nor translates: its first room is Explore
    stands_in("Explore")
    expect(page.locator("#explore-picture img").first).to_be_visible()
    choose(page, "vae")  # fits the room, which stays
    expect(page.locator("#explore-picture img").first).to_be_visible()
    stands_in("Explore")


def test_a_place_is_still_there_after_a_look_at_another_room(page: Page) -> None:
    choose(page, "vae")
    enter(page, "Explore")
    number = page.locator("#explore-slider-0 input[type=number]")
    picture = page.locator("#explore-picture img")
    expect(picture.first).to_be_visible()
    before = source(picture)
    number.fill("0.123")
    number.press("Tab")
    expect(picture.first).not_to_have_attribute("src", before)
    enter(page, "Interpolate")
    enter(page, "Explore")
    page.wait_for_timeout(2000)
    expect(number).to_have_value("0.123")


def test_an_upload_is_translated_and_comes_back(page: Page, tmp_path: Path) -> None:
    choose(page, "cyclegan")
    enter(page, "Translate")
    mine = tmp_path / "mine.png"
    Image.fromarray(noise(16, 16, 3, seed=3)).save(mine)
    page.locator("#translate-file input[type=file]").set_input_files(mine)
    page.locator("#translate-go").click()
    expect(page.locator("#translate-shown img").first).to_be_visible()
    with page.expect_download() as coming:
        page.locator("#translate-files a").first.click()
    assert coming.value.suggested_filename.startswith("mine")


def test_the_guessing_game_is_played_to_its_end(page: Page, folder: Path) -> None:
    choose(page, "vae")
    enter(page, "Which one is real?")
    page.locator("#guess-count input[type=number]").fill("4")
    page.locator("#guess-count input[type=number]").press("Tab")
    page.locator("#guess-begin").click()
    for i in range(1, 5):
        expect(page.locator("#guess-where")).to_contain_text(f"Picture {i} of 4")
        expect(page.locator("#guess-stage img").first).to_be_visible()
        page.locator("#guess-real").click()
    expect(page.locator("#guess-result")).to_contain_text("%")
    assert len((folder / "vae" / "guesses.jsonl").read_text().splitlines()) >= 1


def test_a_training_is_started_and_stopped(page: Page, folder: Path) -> None:
    enter(page, "Train")
    page.locator("#train-minutes input").fill("3")
    page.locator("#train-start").click()
    expect(page.locator("#train-stop")).to_be_visible()
    expect(page.locator("#train-state")).to_contain_text(re.compile(r"[1-9]\d* examples|/s"))
    expect(page.locator("#train-curves li").first).to_contain_text(re.compile(r"\d"))
    plane, key = (page.locator(f"#train-curves {part}") for part in (".chart-plane", "ul"))
    box, above = plane.bounding_box(), key.bounding_box()
    assert box and above and box["width"] > 200 and above["y"] + above["height"] <= box["y"]
    done = page.locator("#train-bar .spent > div")
    assert done.evaluate("bar => getComputedStyle(bar).backgroundColor") == "rgb(42, 143, 203)"
    expect(page.locator("#train-resume")).to_be_hidden()  # what is under way is not resumed
    page.locator("#train-stop").click()
    expect(page.locator("#train-start")).to_be_enabled()
    expect(page.locator("#train-stop")).to_be_hidden()


def test_two_runs_are_compared(page: Page) -> None:
    enter(page, "Compare")
    page.locator("#compare-go").click()
    expect(page.locator("#compare-gallery img").first).to_be_visible()


@pytest.mark.parametrize("run", ["vae", "cyclegan"])
def test_nothing_is_wider_than_a_phone(browser: Browser, address: str, run: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844})
    here = context.new_page()
    here.set_default_timeout(PATIENCE)
    here.goto(address)
    expect(here.locator("#facts")).to_contain_text("can ")
    choose(here, run)
    here.wait_for_timeout(1000)
    assert here.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
