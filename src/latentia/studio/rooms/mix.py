"""The room *Mix styles*: pictures of some seeds with the styles of others."""

from __future__ import annotations

from typing import Any

import gradio as gr

from latentia.abilities import HasStyles
from latentia.data.pictures import grid_image
from latentia.errors import UserError
from latentia.explore.mixing import SPLITS
from latentia.rendering import mixing
from latentia.rendering.pictures import save_png
from latentia.studio.place import Place, kindly
from latentia.studio.scratch import Scratch
from latentia.studio.shelf import Opened

TITLE = "Mix styles"
MOST = 12
_ZOOMED = 64


def fits(opened: Opened | None) -> bool:
    """For models with styles."""
    return opened is not None and isinstance(opened.model, HasStyles)


def build(place: Place) -> None:
    """The choices at the left, the table at the right."""
    with gr.Row(elem_classes="room"):
        with gr.Column(scale=1, min_width=260):
            rows = gr.Slider(1, MOST, 5, step=1, label="Rows", elem_id="mix-rows")
            columns = gr.Slider(1, MOST, 5, step=1, label="Columns", elem_id="mix-columns")
            split = gr.Radio(
                list(SPLITS),
                value="coarse",
                label="From the picture above",
                info="coarse: pose and shape; middle: features; fine: colours and texture. All "
                "else is of the picture to the left.",
                elem_id="mix-split",
            )
            seed = gr.Number(0, label="First seed", precision=0, minimum=0, elem_id="mix-seed")
            truncation = gr.Number(
                None,
                minimum=0,
                maximum=2,
                step=0.05,
                label="Truncation",
                info="Less than 1: more usual, less varied.",
                elem_id="mix-truncation",
            )
            go = gr.Button("Mix", variant="primary", size="md", elem_id="mix-go")
        with gr.Column(scale=3, min_width=280):
            gr.Markdown("Each cell is the picture on its left, with styles of the one above.")
            table = gr.Image(
                label="Mixtures",
                show_label=False,
                alt_text="Sources at the top and the left, their mixtures between them",
                buttons=["fullscreen"],
                format="png",
                interactive=False,
                elem_id="mix-table",
                elem_classes=["small-pixels", "wide-strip"],
            )
            png = gr.DownloadButton("Table (PNG)", size="md", interactive=False, elem_id="mix-png")
    place.follow(_offered, [truncation, table, png])
    go.click(
        _mix(place, Scratch()),
        [place.chosen, rows, columns, split, seed, truncation],
        [table, png],
        api_name="mix",
    )


def _offered(opened: Opened | None) -> list[Any]:
    own = None if opened is None else getattr(opened.model, "truncation", None)
    return [gr.Number(value=own), None, gr.DownloadButton(value=None, interactive=False)]


def _mix(place: Place, scratch: Scratch) -> Any:
    @kindly
    def mix(
        run: str,
        rows: float = 5,
        columns: float = 5,
        split: str = "coarse",
        seed: float = 0,
        truncation: float | None = None,
    ) -> list[Any]:
        """Mix the pictures of seeds from `seed` on with those of 1,000 later."""
        if not (1 <= rows <= MOST and 1 <= columns <= MOST) or seed is None or seed < 0:
            raise UserError(f"Ask for 1 to {MOST} rows and columns, of a seed of 0 or more.")
        left = range(int(seed), int(seed) + int(rows))
        top = range(left.start + mixing.APART, left.start + mixing.APART + int(columns))
        with place.shelf.using(run or "") as opened:
            mixed = mixing.render(
                opened.run,
                opened.model,
                left,
                top,
                split=split,  # type: ignore[arg-type]
                truncation=truncation,
            )
        tiles = mixed.table.flatten(0, 1)
        zoom = max(1, -(-_ZOOMED // max(tiles.shape[-2:])))
        picture = grid_image(tiles, len(top) + 1, zoom)
        kept = save_png(picture, scratch.folder() / f"mix-{left.start}.png", mixed.recipe)
        return [picture, gr.DownloadButton(value=str(kept), interactive=True)]

    return mix
