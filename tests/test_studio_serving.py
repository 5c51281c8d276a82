"""How `latentia studio` serves: sizes of uploads are passed on, or refused in a sentence."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

pytest.importorskip("gradio", reason="the studio needs gradio: pip install 'latentia[studio]'")

import gradio as gr
from gradio_client import Client, handle_file

from latentia.cli.main import app
from latentia.errors import UserError
from latentia.studio import serve


class Told:
    """Stands for a page; keeps what it is launched with."""

    def __init__(self) -> None:
        self.options: dict[str, Any] = {}

    def queue(self, **options: Any) -> None:
        self.options |= options

    def launch(self, **options: Any) -> tuple[None, str, None]:
        self.options |= options
        return None, "http://127.0.0.1:7860", None


@pytest.fixture(autouse=True)
def surroundings_as_they_were(monkeypatch: pytest.MonkeyPatch) -> None:
    """Serving writes into the environment."""
    monkeypatch.setattr(os, "environ", dict(os.environ))


@pytest.mark.parametrize("size", ["100mb", "5mb", "2GB", "12 kb", "700b", " 5MB\n"])
def test_sizes_are_passed_on_in_a_form_that_the_page_takes(size: str) -> None:
    page = Told()
    serve.launch(page, upload=size)  # type: ignore[arg-type]
    assert page.options["max_file_size"] == size.strip().lower()
    assert gr.utils._parse_file_size(page.options["max_file_size"]) >= 700


WRONG = ("nonsense", "", "5", "mb", "-5mb", "1.5mb", "5 parsecs", "5mb and more", "0mb", "1e3kb")


@pytest.mark.parametrize("size", WRONG)
def test_what_is_no_size_is_refused(size: str) -> None:
    page = Told()
    with pytest.raises(UserError, match=r"--upload .* is no size; write one such as 100mb\."):
        serve.launch(page, upload=size)  # type: ignore[arg-type]
    assert not page.options, "refused before anything is served"


def studio(folder: Path, *words: str) -> Any:
    return CliRunner().invoke(app, ["studio", str(folder), "--no-browser", *words])


def test_the_command_refuses_a_wrong_size_in_one_sentence(tmp_path: Path) -> None:
    done = studio(tmp_path, "--upload", "nonsense")
    assert done.exit_code == 2
    said = " ".join(done.stderr.split())
    assert "--upload 'nonsense' is no size; write one such as 100mb." in said
    assert "Traceback" not in done.stderr and len(done.stderr.strip().splitlines()) <= 2


def test_the_command_passes_a_size_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {}
    monkeypatch.setattr(
        gr.Blocks, "launch", lambda self, **told: found.update(told) or (None, "there", None)
    )
    assert studio(tmp_path, "--upload", "2GB").exit_code == 0
    assert found["max_file_size"] == "2gb" and found["server_name"] == "127.0.0.1"


def test_a_file_over_the_limit_is_not_taken(tmp_path: Path) -> None:
    """The limit does what it says: the page itself is asked."""
    from latentia.studio.app import served

    small, large = tmp_path / "small.txt", tmp_path / "large.txt"
    small.write_bytes(b"x" * 500)
    large.write_bytes(b"x" * 5000)
    with gr.Blocks() as page:
        file, words = gr.File(), gr.Textbox()
        file.upload(lambda path: str(Path(path).stat().st_size), file, words, api_name="weigh")
    with served(page, upload="2kb") as address:
        client = Client(address, verbose=False)
        assert client.predict(handle_file(small), api_name="/weigh") == "500"
        with pytest.raises(Exception, match=r"(?i)size|large|413"):
            client.predict(handle_file(large), api_name="/weigh")
