"""A program that visits the studio over its API, and leaves no files behind."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest
from gradio_client import Client, client

from latentia.studio.app import build, served
from latentia.studio.shelf import Shelf


@contextmanager
def visiting(shelf: Shelf, folder: Path) -> Iterator[Client]:
    """A client of a page of a shelf; its downloads go to `folder`.

    It would leave an empty folder in the system's temporary one for each download, whatever it is
    told of where they go (gradio-client 2).
    """
    own = SimpleNamespace(
        gettempdir=lambda: str(folder), TemporaryDirectory=tempfile.TemporaryDirectory
    )
    with pytest.MonkeyPatch.context() as patch, served(build(shelf, shelf.folders[0])) as address:
        patch.setattr(client, "tempfile", own)
        patience = {"timeout": 120}  # seconds, on a busy machine
        yield Client(address, verbose=False, download_files=folder, httpx_kwargs=patience)
