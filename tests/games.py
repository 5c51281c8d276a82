"""Tiny runs of every family on every kind of data, for the contract suite."""

from __future__ import annotations

from pathlib import Path

import torch

from latentia.data.open import open_data
from latentia.data.spec import Dataset
from latentia.fitting import build_trainer, plan
from latentia.models.translator import Translator
from latentia.recipes.registry import FAMILIES
from latentia.run import Run
from latentia.training.budget import Budget
from latentia.training.trainer import Trainer

SOURCES = {"image": "digits", "vector": "two-moons:200"}
SOURCES_OF: dict[str, str] = {}
"""Families that need data of their own, and no built-in of their kind by settings in TINY."""

TINY: dict[tuple[str, str], dict[str, object]] = {
    ("autoencoder", "image"): {"latent": 3, "width": 8, "depth": 1},
    ("autoencoder", "vector"): {"latent": 1, "width": 16, "depth": 1},
    ("vae", "image"): {"latent": 3, "width": 8, "depth": 1, "kl_warmup": 0.5},
    ("vae", "vector"): {"latent": 2, "width": 16, "depth": 1},
    ("factor-vae", "image"): {"latent": 3, "width": 8, "depth": 1, "critic_width": 16},
    ("factor-vae", "vector"): {"latent": 2, "width": 16, "depth": 1, "critic_width": 16},
    ("conditional-vae", "image"): {"latent": 3, "width": 8, "depth": 1, "kl_warmup": 0.5},
    ("conditional-vae", "vector"): {"latent": 2, "width": 16, "depth": 1},
    ("debiasing-vae", "image"): {"latent": 3, "width": 8, "depth": 1, "positive": "3"},
    ("debiasing-vae", "vector"): {"latent": 2, "width": 16, "depth": 1, "positive": "0"},
    ("gan", "image"): {"latent": 4, "width": 8, "sparse": 2},
    ("gan", "vector"): {"latent": 4, "width": 16, "sparse": 2},
    ("progressive-gan", "image"): {
        "latent": 4,
        "width": 8,
        "sparse": 2,
        "start_size": 4,
        "grow_share": 0.9,
    },
    ("style-gan", "image"): {
        "latent": 4,
        "style": 8,
        "width": 8,
        "widest": 16,
        "sparse": 2,
        "path_every": 2,
        "augment_p": 0.3,
    },
    ("diffusion", "image"): {"width": (8, 16), "depth": (2, 1), "steps": 4},
    ("diffusion", "vector"): {"width": (16,), "depth": (2,), "steps": 4, "guidance": 2.0},
    ("latent-diffusion", "image"): {
        "width": (8, 16),
        "depth": (2, 1),
        "steps": 4,
        "coder_width": 8,
        "coder_depth": 1,
        "coder_share": 0.7,
        "code_channels": 3,
    },
    ("consistency", "image"): {"width": (8, 16), "depth": (2, 1), "heights": 6},
    ("consistency", "vector"): {"width": (16,), "depth": (2,), "heights": 6},
    ("rbm", "image"): {"latent": 6, "sweeps": 2, "steps": 10},
    ("score", "image"): {
        "width": (8, 16),
        "depth": (2, 1),
        "sampler": "predictor-corrector",
        "steps": 4,
    },
    ("score", "vector"): {"width": (16,), "depth": (2,), "steps": 4},
    ("energy", "image"): {
        "width": (8, 16),
        "depth": (0, 1),
        "chains": "persistent",
        "chain_steps": 3,
        "buffer": 32,
        "refresh": 0.3,
    },
    ("energy", "vector"): {"width": (16,), "depth": (2,), "chain_steps": 3, "buffer": 32},
    ("cyclegan", "image"): {
        "domains": ("0", "1"),
        "width": 8,
        "blocks": 1,
        "critic_width": 8,
        "pool": 6,
    },
    ("voice-cyclegan", "image"): {
        "domains": ("0", "1"),
        "width": 8,
        "channels_in_time": 16,
        "blocks": 1,
        "critic_width": 8,
    },
    ("pix2pix", "image"): {
        "pairs": "edges",
        "width": 8,
        "levels": 2,
        "critic_width": 8,
        "critic_layers": 1,
        "flip": False,
    },
}

COUPLED = {"factor-vae"}
"""Their loss looks at the examples of a batch together: each process at its own share."""

CASES = [(name, kind) for name, family in FAMILIES.items() for kind in family.kinds]


def tiny_run(
    family: str,
    kind: str,
    folder: Path,
    *,
    examples: int = 80,
    seed: int = 3,
    **changed: object,
) -> tuple[Run, Dataset]:
    """A planned and written run of 16 examples a step, in float32."""
    chosen = {"batch_size": 16, "precision": "float32", **TINY[family, kind], **changed}
    run, dataset = plan(
        source_of(family, kind), family, Budget(examples=examples), folder, seed, chosen
    )
    run.folder.mkdir(parents=True, exist_ok=True)
    run.write()
    return run, dataset


def tiny_trainer(
    family: str, kind: str, folder: Path, *, examples: int = 80, **changed: object
) -> Trainer:
    """The trainer of a tiny run, on the CPU."""
    run, dataset = tiny_run(family, kind, folder, examples=examples, **changed)
    return build_trainer(run, dataset, torch.device("cpu"))


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    """Everything that learns, by player and name, copied."""
    return {
        f"{who}.{name}": tensor.detach().clone()
        for who, player in trainer.players.items()
        for name, tensor in player.modules.state_dict().items()
    }


def source_of(family: str, kind: str) -> str:
    """What a tiny run of the family is trained on."""
    return SOURCES_OF.get(family, SOURCES[kind])


def example_rows(kind: str, n: int = 6) -> torch.Tensor:
    """A few real rows of a kind."""
    return open_data(SOURCES[kind]).batch(range(n)).x


def translated(model: Translator, to: str, n: int = 3) -> torch.Tensor:
    """Noise as pictures of the source, carried to a domain."""
    side = -(-8 // model.multiple) * model.multiple
    shape = (n, model.channels_of(model.source_of(to)), side, side)
    return model.translate(
        torch.rand(shape, generator=torch.Generator().manual_seed(1)) * 2 - 1, to
    )
