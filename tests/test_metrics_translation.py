"""Figures of translations: good oracles score well, bad ones badly, each where it should."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch import Tensor

from latentia.data.parts import part
from latentia.data.spec import Dataset, DataSpec, to_levels
from latentia.errors import UserError
from latentia.metrics import label_agreement as labels_room
from latentia.metrics import occasion as room
from latentia.metrics.evaluate import METRICS, evaluate
from latentia.metrics.features import ConvFeatures, default_extractor
from latentia.metrics.label_agreement import NO_LABEL, Palette, agreement, label_judge, palette_of
from latentia.metrics.perceptual import Content, perceptual_distance, sharpness, ssim
from latentia.metrics.tables import conditions_of, figures_of
from latentia.metrics.translated import translated

COLOURS = np.array([[0, 0, 220], [250, 80, 0], [190, 255, 60], [5, 205, 255]], np.uint8)
SIDE = 24
Carry = Callable[[Tensor, str], Tensor]


class Oracle:
    """Translates by a given rule."""

    multiple, reach = 1, 0

    def __init__(self, domains: tuple[str, str], rule: Carry, targets: tuple[str, ...] = ()):
        self.domains, self.targets, self.rule = domains, targets or domains, rule

    def translate(self, x: Tensor, to: str) -> Tensor:
        return self.rule(x, to)


def facades(n: int, seed: int) -> Dataset:
    """Pairs: areas of four colours, and photographs that show each by a texture of its own."""
    random = np.random.default_rng(seed)
    maps = np.zeros((n, SIDE, SIDE), np.int64)
    for one in maps:
        for label in (1, 2, 3):
            top, left = random.integers(0, SIDE - 8, 2)
            down, across = random.integers(6, 12, 2)
            one[top : top + down, left : left + across] = label
    y, x = np.mgrid[:SIDE, :SIDE]
    stripes = np.stack([np.full_like(x, 60), 90 + 60 * (y % 2), 120 + 70 * (x % 2), x + 190])
    photos = np.take_along_axis(stripes[None], maps[:, None], 1)
    photos = (photos + random.normal(0, 6, (n, 3, SIDE, SIDE))).clip(0, 255).astype(np.uint8)
    values = np.concatenate([photos, COLOURS[maps].transpose(0, 3, 1, 2)], 1)
    pair = {"names": ["photo", "labels"], "channels": [3, 3], "made": None}
    spec = DataSpec("facades", "image", (6, SIDE, SIDE), n, f"{seed:016d}", pair=pair)
    return Dataset(spec, values)


def tinted(rows: slice) -> Dataset:
    """Two domains: scikit-learn's digits as they are, and others of them on a bright ground."""
    raw = load_digits()
    grey = (raw.images[rows] * 255 / 16).round().astype(np.int64)[:, None]
    second = np.arange(len(grey)) % 2 == 1
    grey[second] = 255 - (255 - grey[second]) * 2 // 3  # white stays white, black is grey
    spec = DataSpec("digits", "image", (1, 8, 8), len(grey), "d" * 16, ("dark", "bright"))
    return Dataset(spec, grey.astype(np.uint8), second.astype(np.int64))


def tint(x: Tensor, to: str) -> Tensor:
    """The true way between the domains of `tinted`."""
    return 1 - (1 - x) * 2 / 3 if to == "bright" else 1 - (1 - x) * 3 / 2


PAIRS, HELD = facades(120, 0), facades(24, 1)
DOMAINS, UNSEEN = tinted(slice(0, 1200)), tinted(slice(1200, 1797))
BOTH = ("photo", "labels")


@cache
def _known() -> dict[bytes, Tensor]:
    photos, maps = (part(HELD, name).batch(range(len(HELD))).x for name in BOTH)
    pairs = zip(photos, maps, strict=True)
    return {key: other for p, m in pairs for key, other in ((_key(p), m), (_key(m), p))}


def _key(x: Tensor) -> bytes:
    return to_levels(x).numpy().tobytes()


def true_pair(x: Tensor, to: str) -> Tensor:
    return torch.stack([_known()[_key(one)] for one in x])


def soft(x: Tensor, to: str) -> Tensor:
    """The truth, blurred."""
    return F.avg_pool2d(F.pad(true_pair(x, to), (2,) * 4, mode="replicate"), 5, stride=1)


def of_another(x: Tensor, to: str) -> Tensor:
    """A true picture, but of another source."""
    return true_pair(x, to).roll(1, 0)


@pytest.fixture(scope="module")
def cached(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def short_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def quick(*args: object, **named: object) -> object:
        return default_extractor(*args, **named, examples=4000)  # type: ignore[arg-type]

    monkeypatch.setattr(room, "default_extractor", quick)
    monkeypatch.setattr(labels_room, "default_examples", lambda data: 900)


def of_pairs(rule: Carry, cached: Path, to: str = "photo", name: str = "paired") -> dict:
    figures = evaluate(Oracle(BOTH, rule, (to,)), PAIRS, HELD, metrics=[name], cache_dir=cached)
    return figures[name]["targets"][to]


def of_domains(rule: Carry, cached: Path) -> dict:
    model = Oracle(("dark", "bright"), rule)
    return evaluate(model, DOMAINS, UNSEEN, metrics=["translation"], cache_dir=cached)[
        "translation"
    ]


def test_truth_is_perfect_and_a_random_picture_is_one_unit_away(cached: Path) -> None:
    best, worst = (of_pairs(rule, cached) for rule in (true_pair, of_another))
    assert best["l1"] == 0 and best["psnr_db"] is None
    assert best["ssim"] == pytest.approx(1) and best["perceptual"] == pytest.approx(0, abs=1e-6)
    assert best["sharpness"] == pytest.approx(1)
    assert best["frechet"] == pytest.approx(best["real_frechet"], rel=1e-3)
    assert worst["l1"] == pytest.approx(worst["random"]["l1"], rel=0.1)
    assert worst["perceptual"] == pytest.approx(1, abs=0.1)
    assert worst["ssim"] < 0.7


def test_a_soft_truth_has_a_low_error_but_is_found_soft(cached: Path) -> None:
    found = of_pairs(soft, cached)
    assert found["l1"] < 0.7 * found["random"]["l1"]
    assert found["sharpness"] < 0.7
    assert found["frechet"] > 2 * found["real_frechet"]
    assert found["perceptual"] > 0


def test_the_source_as_it_is_stands_beside(cached: Path) -> None:
    found = of_pairs(lambda x, to: x, cached)
    assert found["l1"] == pytest.approx(found["unchanged"]["l1"])
    assert found["frechet"] > 5 * found["real_frechet"]


def test_diverged_translations_are_refused(cached: Path) -> None:
    with pytest.raises(UserError, match="diverged"):
        of_pairs(lambda x, to: x * np.nan, cached)


def test_a_palette_is_found_where_there_is_one() -> None:
    palette = palette_of(part(PAIRS, "labels"))
    assert palette is not None and len(palette) == 4
    found = {tuple(row) for row in palette.colours.round().int().tolist()}
    assert found == {tuple(row) for row in COLOURS.tolist()}
    assert palette_of(part(PAIRS, "photo")) is None
    assert palette_of(DOMAINS) is None


def test_compressed_colours_are_still_one_label() -> None:
    maps = part(PAIRS, "labels")
    noise = np.random.default_rng(0).integers(-4, 5, maps.values.shape)
    rough = replace(maps, values=(maps.values.astype(int) + noise).clip(0, 255).astype(np.uint8))
    palette = palette_of(rough)
    assert palette is not None and len(palette) == 4
    assert torch.equal(
        palette.read(torch.from_numpy(rough.values)), palette.read(torch.from_numpy(maps.values))
    )


def test_pixels_between_two_colours_are_no_label() -> None:
    palette = Palette(torch.from_numpy(COLOURS).float())
    between = torch.tensor(COLOURS[:2].mean(0), dtype=torch.uint8)[None, :, None, None]
    assert palette.read(between, clear=True).item() == NO_LABEL
    assert palette.read(between).item() in (0, 1)


def test_agreement_of_label_maps() -> None:
    truth = torch.tensor([[[0, 0, 1, 1, NO_LABEL]]], dtype=torch.uint8)
    same = truth.clone()
    same[..., -1] = 0
    assert agreement(same, truth, 3) == {"accuracy": 1.0, "mean_iou": 1.0}
    half = torch.tensor([[[0, 0, 0, 0, 0]]], dtype=torch.uint8)
    assert agreement(half, truth, 3) == {"accuracy": 0.5, "mean_iou": 0.25}


@pytest.mark.parametrize("to", BOTH)
def test_labels_agree_for_the_truth_and_not_for_another(to: str, cached: Path) -> None:
    best, worst = (
        of_pairs(rule, cached, to, "label_agreement") for rule in (true_pair, of_another)
    )
    assert best["accuracy"] > 0.9 and best["mean_iou"] > 0.75
    if to == "labels":
        assert best["accuracy"] == 1
    else:
        assert best["accuracy"] == pytest.approx(best["judge"]["accuracy"])
    assert worst["accuracy"] < 0.75 and worst["mean_iou"] < 0.4
    assert worst["commonest"]["mean_iou"] < 0.4


def test_the_judge_of_labels_is_kept(cached: Path) -> None:
    sides = [part(PAIRS, name) for name in BOTH]
    palette = palette_of(sides[1])
    assert palette is not None

    def again() -> str:
        return label_judge(*sides, palette, examples=32, cache_dir=cached).hash

    first = again()
    kept = sorted((cached / "extractors").iterdir(), key=lambda path: path.stat().st_mtime)[-1]
    before = kept.stat().st_mtime_ns
    assert again() == first and kept.stat().st_mtime_ns == before
    kept.write_bytes(b"broken")
    assert again() == first


def test_the_true_tint_is_in_the_domain_and_keeps_content(cached: Path) -> None:
    found = of_domains(tint, cached)
    assert found["accuracy"] > 0.97
    assert found["told"] < 0.7
    for one in found["targets"].values():
        assert one["in_target"]["value"] > 0.95 and one["source"]["value"] < 0.05
        assert one["cycle"] < 1e-5 < one["cycle_random"]
        assert one["content"] < 0.6
        assert one["found_again"] > 0.5 > 10 * one["found_by_chance"]
        assert one["frechet"] < 3 * one["real_frechet"] < one["source_frechet"]


def test_the_identity_keeps_content_and_stays_in_its_domain(cached: Path) -> None:
    for one in of_domains(lambda x, to: x, cached)["targets"].values():
        assert one["in_target"]["value"] == one["source"]["value"] < 0.05
        assert one["content"] == 0 and one["found_again"] == 1 and one["cycle"] == 0
        assert one["frechet"] == pytest.approx(one["source_frechet"])


def test_a_random_target_picture_is_in_the_domain_and_loses_content(cached: Path) -> None:
    pools = {name: part(UNSEEN, name).batch(range(200)).x for name in UNSEEN.spec.classes}
    for one in of_domains(lambda x, to: pools[to][: len(x)], cached)["targets"].values():
        assert one["in_target"]["value"] > 0.9
        assert one["content"] == pytest.approx(1, abs=0.15)
        assert one["found_again"] < 0.05
        assert one["cycle"] > 0.2


def test_a_constant_has_little_sharpness_and_a_large_distance(cached: Path) -> None:
    means = {name: part(DOMAINS, name).batch(range(100)).x.mean(0) for name in ("dark", "bright")}
    found = of_domains(lambda x, to: means[to].expand_as(x), cached)
    for one in found["targets"].values():
        assert one["frechet"] > 5 * one["real_frechet"]
        assert one["sharpness"] < 0.6


def test_one_sided_models_have_no_cycle(cached: Path) -> None:
    model = Oracle(("dark", "bright"), tint, ("bright",))
    found = evaluate(model, DOMAINS, UNSEEN, cache_dir=cached)
    assert list(found) == ["translation"]
    assert list(found["translation"]["targets"]) == ["bright"]
    assert found["translation"]["targets"]["bright"]["cycle"] is None


def test_what_fits_what() -> None:
    pairs, domains = Oracle(BOTH, true_pair), Oracle(("dark", "bright"), tint)
    fits = lambda model, data: [n for n, m in METRICS.items() if m.fits(model, data)]  # noqa: E731
    assert fits(pairs, PAIRS) == ["paired", "label_agreement"]
    assert fits(domains, DOMAINS) == ["translation"]
    assert fits(pairs, DOMAINS) == fits(domains, PAIRS) == fits(object(), PAIRS) == []
    grey = replace(PAIRS.spec, shape=(2, SIDE, SIDE), pair={**PAIRS.spec.pair, "channels": [1, 1]})
    assert fits(pairs, replace(PAIRS, spec=grey, values=PAIRS.values[:, :2])) == ["paired"]


@pytest.mark.parametrize(
    "model, train, test",
    [(Oracle(BOTH, true_pair), PAIRS, HELD), (Oracle(("dark", "bright"), tint), DOMAINS, UNSEEN)],
)
def test_figures_are_words_and_json(
    model: Oracle, train: Dataset, test: Dataset, cached: Path
) -> None:
    found = evaluate(model, train, test, cache_dir=cached)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    lines = figures_of(found)
    assert len(lines) >= 10 and len({line.name for line in lines}) == len(lines)
    assert all(conditions_of(name, facts) for name, facts in found.items())


def test_held_out_pictures_of_both_domains_are_needed() -> None:
    dark = UNSEEN.subset(np.flatnonzero(UNSEEN.labels == 0))
    with pytest.raises(UserError, match="no held-out picture of bright"):
        translated(Oracle(("dark", "bright"), tint), dark, "bright")
    with pytest.raises(UserError, match="no domain 'grey'"):
        part(UNSEEN, "grey")


def test_rows_are_limited_and_told(cached: Path) -> None:
    told: list[tuple[int, int]] = []
    found = translated(
        Oracle(BOTH, true_pair), HELD, "labels", limit=5, progress=lambda *now: told.append(now)
    )
    assert found.made.shape == (5, 3, SIDE, SIDE) and told[-1] == (5, 5)
    assert found.back is not None and torch.equal(found.back, found.source.batch(range(5)).x)


def test_ssim_of_equal_and_of_opposite_pictures() -> None:
    x = torch.rand(3, 3, 16, 16) * 2 - 1
    assert ssim(x, x) == pytest.approx(1)
    assert bool((ssim(x, -x) < 0).all())
    tiny = torch.rand(2, 1, 4, 4) * 2 - 1
    assert bool(ssim(tiny, tiny.flip(0)).isfinite().all())


def test_sharpness_falls_with_blur_and_knows_no_colour() -> None:
    x = torch.rand(4, 3, 16, 16) * 2 - 1
    assert bool((sharpness(F.avg_pool2d(x, 3, 1, 1)) < 0.5 * sharpness(x)).all())
    flat = torch.ones(1, 3, 8, 8) * torch.tensor([1.0, -1, 0.3])[None, :, None, None]
    assert sharpness(flat).item() == pytest.approx(0, abs=1e-5)


def test_perceptual_distance_grows_with_the_change(cached: Path) -> None:
    judge = default_extractor(part(PAIRS, "photo"), None, cached, examples=4000)
    assert isinstance(judge, ConvFeatures)
    x = part(HELD, "photo").batch(range(16)).x
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    apart = [float(perceptual_distance(judge, x, x + s * noise).mean()) for s in (0, 0.1, 0.4)]
    assert apart[0] == pytest.approx(0, abs=1e-6) and 0 < apart[1] < apart[2] < 2


def test_content_is_blind_to_tone_and_sees_another_picture(cached: Path) -> None:
    judge = default_extractor(part(PAIRS, "photo"), None, cached, examples=4000)
    assert isinstance(judge, ConvFeatures)
    x = part(HELD, "photo").batch(range(16)).x
    content = Content.between(judge, [x[:8]], [0.4 * x[:8] - 0.3])
    own, toned, other = content(x), content(0.4 * x - 0.3), content(x.roll(1, 0))
    near = (own - toned).square().sum(1)
    far = (own - other).square().sum(1)
    assert bool((far <= 4).all()) and float(near.max()) < 0.02 < 0.2 < float(far.min())
