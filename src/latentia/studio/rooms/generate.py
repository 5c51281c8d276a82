"""The room *Generate*: new samples, of seeds and in the ways that the model allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import gradio as gr

from latentia.abilities import HasStyles, Samples, TakesClasses
from latentia.data.pictures import grid_image
from latentia.errors import UserError
from latentia.recipes.diffusion import SamplerName
from latentia.rendering import samples
from latentia.rendering.pictures import pictures_of, save_png, save_zip
from latentia.rendering.samples import Drawn
from latentia.rendering.views import look_of
from latentia.studio.place import Place, kindly
from latentia.studio.scratch import Scratch
from latentia.studio.sheet import Sheet
from latentia.studio.shelf import Opened
from latentia.training.budget import duration

TITLE = "Generate"
MOST = 256
ANY = "any"
"""The choice of no label, and of the run's own sampler."""
_USUAL = 16
_BUTTON: dict[str, Any] = {"size": "md", "min_width": 90}


def fits(opened: Opened | None) -> bool:
    """For models that sample."""
    return opened is not None and isinstance(opened.model, Samples)


@dataclass(frozen=True)
class _Choices:
    """The widgets that say what is drawn, in the order of `generate`'s parameters."""

    seed: gr.Number
    count: gr.Slider
    label: gr.Dropdown
    truncation: gr.Number
    guidance: gr.Number
    steps: gr.Number
    sampler: gr.Dropdown

    @property
    def all(self) -> list[Any]:
        """The widgets."""
        first = [self.seed, self.count, self.label, self.truncation]
        return [*first, self.guidance, self.steps, self.sampler]


def build(place: Place) -> None:
    """The choices at the left, the samples at the right."""
    scratch = Scratch()
    with gr.Row(elem_classes="room"):
        with gr.Column(scale=1, min_width=260):
            chosen = _choices()
            with gr.Row():
                go = gr.Button(
                    "Generate", variant="primary", size="md", elem_id="generate-go", min_width=90
                )
                more = gr.Button("Next seeds", size="md", elem_id="generate-next", min_width=90)
            note = gr.Markdown(elem_id="generate-note")
        with gr.Column(scale=3, min_width=280):
            sheet = Sheet("generate", "Samples")
            with gr.Row():
                png = gr.DownloadButton(
                    "Grid (PNG)", size="md", interactive=False, elem_id="generate-png"
                )
                packed = gr.DownloadButton(
                    "All (zip)", size="md", interactive=False, elem_id="generate-zip"
                )
            with gr.Accordion("How they were made", open=False):
                recipe = gr.JSON(label="Recipe", elem_id="generate-recipe")
    results = [*sheet.widgets, png, packed, recipe, note]
    asked = [place.chosen, *chosen.all]
    place.follow(_offered, chosen.all)
    place.follow(lambda opened: [*sheet.empty(opened), *_no_files(), None, ""], results)
    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    foretell, draw = _foretell(place), _generate(place, sheet, scratch)
    go.click(foretell, asked, [note], **quiet).success(
        draw, asked, results, api_name="generate", show_progress_on=sheet.widgets
    )
    step = more.click(lambda seed, n: seed + n, [chosen.seed, chosen.count], chosen.seed, **quiet)
    step.success(foretell, asked, [note], **quiet).success(
        draw, asked, results, api_visibility="private", show_progress_on=sheet.widgets
    )


def _download(words: str, name: str) -> gr.DownloadButton:
    return gr.DownloadButton(words, interactive=False, elem_id=name, **_BUTTON)


def _choices() -> _Choices:
    said = "Sample i depends on seed + i alone."
    return _Choices(
        gr.Number(0, label="Seed", info=said, precision=0, minimum=0, elem_id="generate-seed"),
        gr.Slider(1, MOST, _USUAL, step=1, label="How many", elem_id="generate-count"),
        gr.Dropdown(
            [ANY],
            value=None,
            label="Label",
            info="A mixture: 3+5.",
            allow_custom_value=True,
            visible=False,
            elem_id="generate-label",
        ),
        _number("Truncation", "Less than 1: more usual, less varied.", 0, 2, 0.05),
        _number("Guidance", "Above 1: clearer, less varied.", 0, 20, 0.1),
        _number("Steps", "Of the sampler: more take longer.", 1, 10_000, 1),
        gr.Dropdown(
            list(get_args(SamplerName)),
            value=None,
            label="Sampler",
            info="How noise is followed down.",
            visible=False,
            elem_id="generate-sampler",
        ),
    )


def _number(name: str, info: str, least: float, most: float, step: float) -> gr.Number:
    """A setting of the sampler; where it is empty, the run's own value holds."""
    return gr.Number(
        None,
        label=name,
        info=info,
        minimum=least,
        maximum=most,
        step=step,
        visible=False,
        elem_id=f"generate-{name.lower()}",
    )


def _offered(opened: Opened | None) -> list[Any]:
    """What can be chosen for a run, at the run's own values."""
    if opened is None or not fits(opened):
        return [gr.skip(), gr.skip(), *(gr.update(visible=False) for _ in range(5))]
    model, classes = opened.model, list(opened.run.spec.classes)
    sampling = getattr(model, "sampling", None)
    guided = sampling is not None and bool(getattr(model, "has_guide", False))
    steps = samples.usual_steps(opened.run, model)
    styled = isinstance(model, HasStyles)
    own = sampling.sampler if sampling else None
    return [
        gr.skip(),
        gr.skip(),
        gr.Dropdown([ANY, *classes], value=ANY, visible=isinstance(model, TakesClasses)),
        gr.Number(value=getattr(model, "truncation", None), visible=styled),
        gr.Number(value=sampling.guidance if sampling else None, visible=guided),
        gr.Number(value=steps, visible=steps is not None),
        gr.Dropdown(value=own, visible=sampling is not None),
    ]


def _no_files() -> list[Any]:
    return [gr.DownloadButton(value=None, interactive=False)] * 2


def _manner(
    opened: Opened,
    truncation: float | None,
    guidance: float | None,
    steps: float | None,
    sampler: str | None,
) -> dict[str, Any]:
    """What was asked for and differs from the model's own way, by `samples.render`'s names."""
    model, sampling = opened.model, getattr(opened.model, "sampling", None)
    own = {
        "truncation": getattr(model, "truncation", None),
        "guidance": getattr(sampling, "guidance", None),
        "steps": samples.usual_steps(opened.run, model),
        "sampler": getattr(sampling, "sampler", None),
    }
    asked = {"truncation": truncation, "guidance": guidance, "sampler": sampler}
    asked["steps"] = None if steps is None else int(steps)
    return {k: v for k, v in asked.items() if v not in (None, "") and v != own[k]}


def _foretell(place: Place) -> Any:
    @kindly
    def foretell(
        run: str,
        seed: float,
        count: float,
        label: str | None,
        truncation: float | None,
        guidance: float | None,
        steps: float | None,
        sampler: str | None,
    ) -> str:
        """How long it will take, where the model knows."""
        with place.shelf.using(_some(run)) as opened:
            manner = _manner(opened, truncation, guidance, steps, sampler)
            manner.pop("truncation", None)
            expected = samples.seconds(opened.run, opened.model, int(count or 1), **manner)
        return "" if expected is None else f"{int(count)} samples: about {duration(expected)} …"

    return foretell


def _generate(place: Place, sheet: Sheet, scratch: Scratch) -> Any:
    @kindly
    def generate(
        run: str,
        seed: float = 0,
        count: float = _USUAL,
        label: str | None = None,
        truncation: float | None = None,
        guidance: float | None = None,
        steps: float | None = None,
        sampler: str | None = None,
    ) -> list[Any]:
        """Draw samples of the seeds from `seed` on."""
        if not 1 <= (count or 0) <= MOST or seed is None or seed < 0:
            raise UserError(f"Ask for 1 to {MOST} samples, of a seed of 0 or more.")
        seeds = range(int(seed), int(seed) + int(count))
        with place.shelf.using(_some(run)) as opened:
            manner = _manner(opened, truncation, guidance, steps, sampler)
            named = None if label in (ANY, None, "") else label
            drawn = samples.render(opened.run, opened.model, seeds, label=named, **manner)
            shown = sheet.shown(opened, drawn.x, [f"seed {s}" for s in drawn.seeds], scratch)
        return [*shown, *_files(opened, drawn, scratch), drawn.recipe, _said(drawn)]

    return generate


def _some(run: str | None) -> str:
    if not run:
        raise UserError("There is no run chosen; choose one at the top.")
    return run


def _said(drawn: Drawn) -> str:
    first, last = drawn.seeds[0], drawn.seeds[-1]
    return f"Seed {first}." if first == last else f"Seeds {first} to {last}."


def _files(opened: Opened, drawn: Drawn, scratch: Scratch) -> list[Any]:
    """The grid and the zip of pictures; nothing of other data."""
    if look_of(opened.run.spec) != "pictures":
        return [gr.DownloadButton(value=None, visible=False)] * 2
    folder, stem = scratch.folder(), f"samples-{drawn.seeds[0]}"
    grid = save_png(grid_image(drawn.x), folder / f"{stem}.png", drawn.recipe)
    each = [(p, drawn.recipe_of(i)) for i, p in enumerate(pictures_of(drawn.x))]
    packed = save_zip(each, folder / f"{stem}.zip", drawn.recipe)
    return [
        gr.DownloadButton(value=str(path), interactive=True, visible=True)
        for path in (grid, packed)
    ]
