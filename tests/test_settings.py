"""Every setting of every recipe changes the outcome; none is decoration."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from games import CASES, TINY, tiny_run, weights
from latentia.errors import UserError
from latentia.fitting import build_trainer
from latentia.recipes.base import parse_settings
from latentia.recipes.registry import recipe

OTHER: dict[str, Any] = {
    "size": 12,
    "channels": 3,
    "background": "black",
    "binarize": "static",
    "flip": True,
    "batch_size": 20,
    "precision": "bfloat16",
    "warmup": 0.4,
    "hold": 0.9,
    "ema_gamma": 2.0,
    "latent": 5,
    "width": 24,
    "depth": 2,
    "lr": 3e-3,
    "weight_decay": 0.5,
    "distance": "absolute",
    "noise": 0.5,
    "sparsity": 1.0,
    "likelihood": "logistic",
    "prior": "mixture",
    "network": "mlp",
    "layers": 3,
    "detail": 2,
    "components": 7,
    "objective": "iwae",
    "draws": 3,
    "tc_weight": 2.0,
    "capacity": 5.0,
    "critic_width": 24,
    "critic_depth": 2,
    "label_weight": 5.0,
    "label_share": 0.3,
    "beta": 3.0,
    "positive": "1",
    "bound_weight": 3.0,
    "resample": "none",
    "alpha": 0.2,
    "effective": 0.95,
    "bins": 4,
    "combine": "max",
    "positive_share": 0.2,
    "kl_warmup": 0.9,
    "free_nats": 2.0,
    "loss": "non-saturating",
    "gamma": 9.0,
    "gamma_end": 5.0,
    "sparse": 1,
    "candidates": 1,
    "penalty": "r1",
    "penalty_every": 2,
    "spectral_norm": True,
    "conditional": True,
    "condition_critic": "projection",
    "class_weight": 3.0,
    "augment": "fixed",
    "augment_p": 0.7,
    "augment_target": -0.9,
    "critic_lr": 2e-3,
    "style": 6,
    "mapping": 3,
    "widest": 12,
    "fold": 1,
    "mixing": 0.0,
    "path_weight": 5.0,
    "path_every": 3,
    "truncation": 0.5,
    "start_size": 2,
    "grow_share": 0.4,
    "fade": 0.2,
    "guidance": 5.0,
    "guide": "classless",
    "guide_until": 0.9,
    "guided_from": 2.0,
    "guided_to": 0.5,
    "predict": "flow",
    "heights": 11,
    "code_channels": 2,
    "coder_width": 12,
    "coder_depth": 2,
    "coder_share": 0.3,
    "coder_lr": 5e-3,
    "roughness": 1.0,
    "edges": 0.0,
    "sampler": "ancestral",
    "forget": 0.9,
    "sigma_min": 0.1,
    "sigma_max": 10.0,
    "p_mean": 1.0,
    "p_std": 0.3,
    "steps": 7,
    "patch": 2,
    "attention": True,
    "pairs": "grey",
    "domains": ("2", "3"),
    "direction": "B-to-A",
    "levels": 1,
    "dropout": 0.3,
    "nearness": 5.0,
    "adversarial": 3.0,
}
DENOISERS = ("diffusion", "consistency", "latent-diffusion", "score", "energy")
OTHER_BY_FAMILY: dict[tuple[str, str], Any] = {
    **{(family, "width"): (24, 16) for family in DENOISERS},
    **{(family, "depth"): (1, 2) for family in DENOISERS},
    **{(family, "levels"): "cosine" for family in DENOISERS},
    ("score", "levels"): 6,
    ("score", "noise"): "sub-vp",
    ("score", "sampler"): "ode",
    ("energy", "chains"): "short-run",
    ("pix2pix", "network"): "pix2pix",
    ("style-gan", "widest"): 4,
    ("gan", "augment"): "adaptive",
    ("progressive-gan", "augment"): "adaptive",
}
OTHER |= {
    "mode": "contrastive",
    "to": "0",
    "norm": "none",
    "blocks": 2,
    "critic_layers": 2,
    "critic_norm": "none",
    "scales": 2,
    "other": 2.0,
    "pool": 7,
    "cycle": 1.0,
    "identity": 1.0,
    "nce": 3.0,
    "temperature": 0.5,
    "patches": 3,
    "jitter": 2,
}
OTHER |= {"matching": "sliced", "beta_min": 1.0, "beta_max": 10.0}
OTHER |= {"snr": 0.3, "corrector_steps": 2}
OTHER |= {"span": 3, "hidden": 0.1, "tempo": 0.5, "channels_in_time": 24}
OTHER |= {
    "labels": "joint",
    "contrast_weight": 3.0,
    "chain_steps": 5,
    "buffer": 48,
    "refresh": 0.9,
    "step": 1.0,
    "clip": 1e-4,
    "data_noise": 0.2,
    "strange": 0.1,
    "broken": 0.6,
    "beta1": 0.5,
}
OTHER_BY_FAMILY |= {("voice-cyclegan", "critic_layers"): 1}
OTHER |= {"chains": "data", "sweeps": 3}
OTHER_BY_FAMILY |= {("rbm", "binarize"): "none"}
OTHER_BY_FAMILY |= {("cyclegan", "network"): "resnet", ("cyclegan", "augment"): "adaptive"}
ELSEWHERE = {
    "background": "changes transparent pictures only: tests/test_data_images.py shows it",
    "label": "names a column of a table: tests/test_table_files.py shows it",
    "split": "names a column of a table beside pictures: tests/test_domains.py shows it",
    "attributes": "is that table: tests/test_domains.py shows it",
    "teacher": "is a run: tests/test_consistency.py shows it",
    "window": "cuts recordings: tests/test_windows.py shows it",
}
REFUSED = {("voice-cyclegan", "channels")}  # recordings become pictures of one channel
IMAGES_ONLY = {"size", "channels", "background", "binarize", "flip", "likelihood"}
IMAGES_ONLY |= {"patch", "attention", "network", "detail", "strange", "broken"}
IMAGES_ONLY |= {"augment", "augment_p", "augment_target"}
GANS = ("gan", "progressive-gan")
GAN_TOGETHER: dict[str, dict[str, Any]] = {
    "spectral_norm": {"penalty": "r1"},
    "condition_critic": {"conditional": True},
    "class_weight": {"conditional": True},
    "augment_p": {"augment": "adaptive"},
    "augment_target": {"augment": "adaptive", "augment_p": 0.3},
}
CONTRASTIVE = {"mode": "contrastive"}
CYCLE_TOGETHER: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("to", "nce", "temperature", "patches"), CONTRASTIVE),
    "critic_layers": {"size": 16},
    "scales": {"size": 16},
    "augment_p": {"augment": "adaptive"},
    "augment_target": {"augment": "adaptive", "augment_p": 0.3},
}
TOGETHER: dict[tuple[str, str], dict[str, Any]] = {
    **{("cyclegan", key): beside for key, beside in CYCLE_TOGETHER.items()},
    **{(family, key): beside for family in GANS for key, beside in GAN_TOGETHER.items()},
    ("voice-cyclegan", "critic_layers"): {"size": 24},
    **{(family, "forget"): {"conditional": True} for family in DENOISERS},
    **{(family, "guide"): {"conditional": True, "guidance": 2.0} for family in DENOISERS},
    ("energy", "contrast_weight"): {"labels": "joint"},
    ("energy", "chains"): {"buffer": 2048, "refresh": 0.05},
    ("vae", "detail"): {"layers": 2},
    ("vae", "components"): {"prior": "mixture"},
    ("vae", "draws"): {"objective": "iwae"},
    ("vae", "tc_weight"): {"objective": "tc"},
    **{("debiasing-vae", key): {"examples": 1700} for key in ("resample", "alpha", "effective")},
    ("debiasing-vae", "combine"): {"examples": 1700},
    ("debiasing-vae", "bins"): {"examples": 1700, "combine": "product"},
    ("score", "levels"): {"noise": "geometric", "steps": 4},
    **{("score", key): {"noise": "vp"} for key in ("beta_min", "beta_max")},
    **{("pix2pix", key): {"size": 16} for key in ("critic_layers", "scales")},  # larger patches
}
"""What settings need to act, another setting or a second epoch: both runs compared get it."""

EVERY = [
    (family, kind, setting)
    for family, kind in CASES
    for setting in recipe(family).settings.model_fields
    if (kind == "image" or setting not in IMAGES_ONLY) and (family, setting) not in REFUSED
]


def fingerprint(family: str, kind: str, folder: Path, **changed: Any) -> list[torch.Tensor]:
    """What a tiny run ends with: live and averaged weights, and a sample where there are any."""
    run, dataset = tiny_run(family, kind, folder, **changed)
    trainer = build_trainer(run, dataset, torch.device("cpu"))
    trainer.run()
    found = [*weights(trainer).values(), *trainer.average.model.state_dict().values()]
    model = trainer.average.model
    return [*found, model.sample([1])] if hasattr(model, "sample") else found


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], list[torch.Tensor]]:
    folder = tmp_path_factory.mktemp("plain")
    return {case: fingerprint(*case, folder / "-".join(case)) for case in CASES}


@pytest.mark.parametrize(("family", "kind", "setting"), EVERY)
def test_a_setting_changes_the_outcome(
    family: str, kind: str, setting: str, tmp_path: Path, plain: dict
) -> None:
    if setting in ELSEWHERE:
        pytest.skip(ELSEWHERE[setting])
    other = OTHER_BY_FAMILY.get((family, setting), OTHER[setting])
    if family in DENOISERS and kind == "vector" and setting in ("width", "depth"):
        other = (other[0] + 8,)
    assert TINY[family, kind].get(setting) != other
    beside = TOGETHER.get((family, setting), {})
    found = fingerprint(family, kind, tmp_path / "other", **beside, **{setting: other})
    before = plain[family, kind]
    if beside:
        before = fingerprint(family, kind, tmp_path / "beside", **beside)
    same = len(found) == len(before) and all(
        a.shape == b.shape and torch.equal(a, b) for a, b in zip(found, before, strict=True)
    )
    assert not same, f"{setting}={other} of {family} on {kind} data changes nothing"


def test_unknown_settings_are_refused_with_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'beta'"):
        parse_settings(recipe("vae").settings, {"betta": 4}, "vae")


@pytest.mark.parametrize(
    ("family", "chosen"),
    [
        ("vae", {"beta": "much"}),
        ("vae", {"beta": -1}),
        ("vae", {"latent": 0}),
        ("gan", {"loss": "nonsense"}),
        ("diffusion", {"width": "wide"}),
    ],
)
def test_unfit_values_are_refused_by_name(family: str, chosen: dict[str, Any]) -> None:
    (key,) = chosen
    with pytest.raises(UserError, match=key):
        parse_settings(recipe(family).settings, chosen, family)


def test_text_is_read_as_the_field_wants_it() -> None:
    assert parse_settings(recipe("vae").settings, {"channels": "1"}, "vae").channels == 1
    chosen = {"width": "64,128", "attention": "true", "guidance": "none", "p_mean": "-0.5"}
    settings = parse_settings(recipe("diffusion").settings, chosen, "diffusion")
    assert settings.model_dump(include=set(chosen)) == {
        "width": (64, 128),
        "attention": True,
        "guidance": None,
        "p_mean": -0.5,
    }


def test_vectors_have_one_level(tmp_path: Path) -> None:
    run, _ = tiny_run("diffusion", "vector", tmp_path, width=(16, 32))
    with pytest.raises(UserError, match="one level"):
        run.build()
