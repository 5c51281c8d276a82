"""What latents carry: collapse named, and figures where theory gives them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Independent, Normal

from games import tiny_run
from latentia.data.spec import Dataset, DataSpec
from latentia.errors import UserError
from latentia.maths.chunks import spread_rows
from latentia.metrics.evaluate import METRICS, evaluate
from latentia.metrics.latents import diagnosis, latents
from latentia.metrics.tables import conditions_of, figures_of, words_of
from latentia.report.gallery import _add_activity
from latentia.report.page import Section


def points(n: int = 4000, dims: int = 3) -> Dataset:
    values = torch.randn(n, dims, generator=torch.Generator().manual_seed(1))
    return Dataset(DataSpec("points", "vector", (dims,), n, "0" * 16), values.numpy())


class Channel:
    """q(z | x) = N(gain · x, 1 − gain²): the aggregate posterior is N(0, 1) in every latent."""

    def __init__(self, gain: tuple[float, ...]) -> None:
        self.gain = torch.tensor(gain)

    def encode(self, x: Tensor) -> Tensor:
        return self.gain * x

    def posterior(self, x: Tensor) -> Independent:
        deviation = (1 - self.gain.square()).sqrt().expand(len(x), -1)
        return Independent(Normal(self.encode(x), deviation), 1)


class Shifted(Channel):
    """The same with a prior of its own."""

    def log_prior(self, z: Tensor) -> Tensor:
        return Independent(Normal(torch.ones(3), 1.0), 1).log_prob(z)


def test_information_and_kl_are_those_of_a_gaussian_channel() -> None:
    facts = latents(Channel((0.9, 0.5, 0.0)), points(), examples=4000)
    truth = [-0.5 * math.log(1 - g**2) for g in (0.9, 0.5, 0.0)]  # mutual information
    assert facts["information_nats"] == pytest.approx(truth, abs=0.02)
    assert facts["kl_by_latent"] == pytest.approx(truth, abs=0.03)
    assert facts["kl_nats"] == pytest.approx(sum(facts["kl_by_latent"]))
    assert facts["prior"] == "standard normal" and facts["active_units"] == 2
    assert facts["collapse"] == "partial"


def test_a_learned_prior_is_noticed_and_its_kl_estimated() -> None:
    facts = latents(Shifted((0.9, 0.5, 0.0)), points(), examples=4000, seed=3)
    plain = latents(Channel((0.9, 0.5, 0.0)), points(), examples=4000)
    assert facts["prior"] == "learned"
    # E over a centred aggregate of ((z − 1)² − z²) / 2 is ½ for each of three latents
    assert facts["kl_nats"] == pytest.approx(plain["kl_nats"] + 1.5, abs=0.1)
    assert facts["kl_by_latent"] == pytest.approx(plain["kl_by_latent"], abs=0.03)
    again = latents(Shifted((0.9, 0.5, 0.0)), points(), examples=4000, seed=3)
    assert again == facts


def test_the_draws_leave_the_global_generator_alone() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    latents(Shifted((0.9, 0.5, 0.0)), points(50))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(
    ("gain", "level", "words"),
    [
        ((0.9, 0.8, 0.7), "none", ("No collapse", "3 latents")),
        ((0.9, 0.0, 0.0), "partial", ("2 of 3 latents carry nothing", "kl_warmup", "latent=1")),
        ((0.9, 0.8, 0.0), "partial", ("1 of 3 latents carries nothing", "free_nats")),
        ((0.3, 0.0, 0.0), "partial", ("hardly tell more", "lower beta")),
        ((0.0, 0.0, 0.0), "complete", ("Posterior collapse", "lower beta", "same encoding")),
    ],
)
def test_collapse_is_named_with_what_to_do(
    gain: tuple[float, ...], level: str, words: tuple[str, ...]
) -> None:
    facts = latents(Channel(gain), points(500))
    assert facts["collapse"] == level
    assert all(word in facts["diagnosis"] for word in words)


def test_one_latent_reads_well() -> None:
    assert "the one latent" in diagnosis(torch.tensor([1.0]))
    assert "the one latent" in diagnosis(torch.tensor([0.0]))


def test_evaluate_knows_it_and_shows_it_legibly() -> None:
    model, data = Channel((0.9, 0.0, 0.0)), points(300)
    assert METRICS["latents"].fits(model, data) and not METRICS["latents"].fits(object(), data)
    facts = evaluate(model, data, data, metrics=["latents"])["latents"]
    json.dumps(facts, allow_nan=False)
    lines = figures_of({"latents": facts})
    assert [(line.value, line.reference) for line in lines[:2]] == [("1", "3"), ("1", "3")]
    assert "300" in conditions_of("latents", facts)
    told, by_latent = words_of("latents", facts)
    assert "carry nothing" in told and by_latent.index("z0") < by_latent.index("z1")


def test_few_rows_and_no_posterior() -> None:
    json.dumps(latents(Channel((0.9, 0.5, 0.0)), points(1)), allow_nan=False)
    with pytest.raises(UserError, match="no posterior"):
        latents(object(), points(5))


def test_the_report_sets_collapse_off_in_a_box() -> None:
    for gain, warned in (((0.9, 0.8, 0.7), 0), ((0.9, 0.0, 0.0), 1)):
        section = Section("latent", "The latent space", "Near points.")
        _add_activity(section, latents(Channel(gain), points(200)))
        assert len(section.warnings) == warned
        assert ("No collapse" in section.lead) != bool(warned)
        assert len(section.tables[0].rows) == 3 and len(section.figures) == 1


@pytest.mark.parametrize(("family", "settings"), [("vae", {"layers": 3}), ("conditional-vae", {})])
def test_layers_and_latents_beside_a_class_are_reported_too(
    family: str, settings: dict[str, Any], tmp_path: Path
) -> None:
    run, data = tiny_run(family, "image", tmp_path, **settings)
    model = run.build().eval().requires_grad_(False)
    facts = latents(model, data, examples=30)
    assert len(facts["kl_by_latent"]) == facts["latent_dim"]
    rows = data.batch(spread_rows(len(data), 30)).x
    with torch.no_grad():
        assert facts["kl_nats"] == pytest.approx(float(model.rate(rows).mean()), rel=1e-4)
