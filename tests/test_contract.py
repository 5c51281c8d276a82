"""One contract for every recipe: what a family must keep, whatever it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from safetensors.torch import load_file

from games import CASES, COUPLED, example_rows, tiny_run, tiny_trainer, translated, weights
from latentia.abilities import TakesClasses, abilities_of
from latentia.errors import UserError
from latentia.fitting import build_trainer
from latentia.game import Batch, Now, Terms
from latentia.recipes.registry import FAMILIES
from latentia.run import Run, load
from latentia.training.checkpoint import MODEL_FILE, STATE_FILE
from latentia.training.trainer import Trainer

every_case = pytest.mark.parametrize(("family", "kind"), CASES)


class Killed(BaseException):
    """Stands in for a power cut."""


class StopsAt:
    """Batches that end in a power cut before `step`."""

    def __init__(self, batches: object, step: int) -> None:
        self.batches, self.step = batches, step

    def batch_at(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        if step == self.step:
            raise Killed
        return self.batches.batch_at(step, rank, world)  # type: ignore[attr-defined]

    def __getattr__(self, name: str) -> object:
        return getattr(self.batches, name)


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


@every_case
def test_a_turn_changes_its_own_player_only(family: str, kind: str, tmp_path: Path) -> None:
    trainer = tiny_trainer(family, kind, tmp_path)
    batch = trainer.batches.batch_at(0)
    now = Now(1, 0.5, torch.Generator().manual_seed(0), torch.device("cpu"))
    seen = []
    for who, terms in trainer.objective.play(batch, now):
        before = weights(trainer)
        trainer._descend(who, terms, 1.0)
        changed = {name for name, w in weights(trainer).items() if not torch.equal(w, before[name])}
        assert changed, f"the turn of {who} changed nothing"
        assert all(name.startswith(f"{who}.") for name in changed)
        seen.append(who)
    assert tuple(seen) == FAMILIES[family].players == tuple(trainer.players)


@every_case
def test_killed_and_resumed_equals_never_stopped(family: str, kind: str, tmp_path: Path) -> None:
    whole = tiny_trainer(family, kind, tmp_path / "whole")
    assert whole.run()

    cut = tiny_trainer(family, kind, tmp_path / "cut")
    cut.course = replace(cut.course, checkpoint_seconds=0.0)
    cut.batches = StopsAt(cut.batches, 3)
    with pytest.raises(Killed):
        cut.run()

    run = Run.open(tmp_path / "cut")
    resumed = build_trainer(run, run.data(), torch.device("cpu"))
    resumed.resume()
    assert resumed.position.step == 3
    assert resumed.run()
    assert same(weights(whole), weights(resumed))
    ships = [load_file(tmp_path / name / MODEL_FILE) for name in ("whole", "cut")]
    assert same(*ships)
    steps = [row["step"] for row in run.history()]
    assert steps == sorted(set(steps))


@every_case
def test_saved_and_loaded_does_the_same(family: str, kind: str, tmp_path: Path) -> None:
    trainer = tiny_trainer(family, kind, tmp_path)
    trainer.run()
    loaded, shipped = load(tmp_path), trainer.average.model
    x = example_rows(kind)
    if hasattr(shipped, "translate"):
        for to in shipped.targets:
            assert torch.equal(translated(loaded, to), translated(shipped, to))
    elif hasattr(shipped, "sample"):
        assert torch.equal(loaded.sample(range(3)), shipped.sample(range(3)))
    else:
        assert torch.equal(loaded.decode(loaded.encode(x)), shipped.decode(shipped.encode(x)))


@every_case
def test_a_sample_does_not_depend_on_its_batch(family: str, kind: str, tmp_path: Path) -> None:
    trainer = tiny_trainer(family, kind, tmp_path)
    trainer.run()
    model = load(tmp_path)
    if not hasattr(model, "sample"):
        assert "sample" not in FAMILIES[family].abilities
        return
    together = model.sample([5, 9, 2])
    alone = torch.cat([model.sample([seed]) for seed in (5, 9, 2)])
    torch.testing.assert_close(together, alone, atol=2e-4, rtol=1e-3)
    assert not torch.allclose(together[0], together[1])


@every_case
def test_every_declared_ability_works(family: str, kind: str, tmp_path: Path) -> None:
    tiny_trainer(family, kind, tmp_path).run()
    model, x = load(tmp_path), example_rows(kind)
    assert abilities_of(model) == FAMILIES[family].abilities
    able = FAMILIES[family].abilities
    low, high = (-1, 1) if kind == "image" else (-torch.inf, torch.inf)
    if "sample" in able:
        drawn = model.sample(range(4))
        assert drawn.shape == (4, *x.shape[1:]) and drawn.dtype == torch.float32
        assert drawn.isfinite().all() and drawn.min() >= low and drawn.max() <= high
    if "encode" in able:
        z = model.encode(x)
        assert z.shape == (len(x), model.latent_dim) and z.isfinite().all()
    if "decode" in able:
        back = model.decode(torch.zeros(2, model.latent_dim))
        assert back.shape == (2, *x.shape[1:]) and back.isfinite().all()
    if "posterior" in able:
        q = model.posterior(x)
        assert q.batch_shape == (len(x),) and q.event_shape == (model.latent_dim,)
    for to in model.targets if "translate" in able else ():
        made = translated(model, to)
        assert made.isfinite().all() and made.abs().max() <= 1
        assert torch.equal(made, translated(model, to)), "translate is not a function"
        assert set(model.targets) <= set(model.domains) and len(model.domains) == 2
    for score in {"elbo", "log_prob"} & set(able):
        value = getattr(model, score)(x)
        assert value.shape == (len(x),) and value.isfinite().all()
        assert torch.equal(value, getattr(model, score)(x)), (
            f"{score} is not a function of its seed"
        )


class Poisoned:
    """An objective whose first term is NaN from a step on, in the named player's turn."""

    def __init__(self, objective: object, who: str, step: int, times: int) -> None:
        self.objective, self.who, self.step, self.times = objective, who, step, times
        self.players = objective.players  # type: ignore[attr-defined]

    def play(self, batch: Batch, now: Now) -> Iterator[tuple[str, Terms]]:
        for who, terms in self.objective.play(batch, now):  # type: ignore[attr-defined]
            if who == self.who and now.step == self.step and self.times:
                self.times -= 1
                first = next(iter(terms))
                terms = {**terms, first: terms[first] * float("nan")}
            yield who, terms


@every_case
def test_a_non_finite_loss_ends_with_its_name(family: str, kind: str, tmp_path: Path) -> None:
    who = FAMILIES[family].players[0]
    trainer = tiny_trainer(family, kind, tmp_path)
    trainer.objective = Poisoned(trainer.objective, who, step=2, times=99)
    with pytest.raises(UserError, match=rf"player '{who}' at step 2 is not finite"):
        trainer.run()
    kept = load_file(tmp_path / MODEL_FILE)
    assert all(tensor.isfinite().all() for tensor in kept.values())
    assert (tmp_path / STATE_FILE).exists()


def test_a_short_fall_is_survived_at_a_lower_rate(tmp_path: Path) -> None:
    trainer = tiny_trainer("vae", "image", tmp_path)
    trainer.objective = Poisoned(trainer.objective, "vae", step=2, times=2)
    assert trainer.run()
    assert trainer.position.falls == 2 and trainer.position.rate_scale == 0.25
    assert all(tensor.isfinite().all() for tensor in weights(trainer).values())


# several processes


def _shard(rank: int, folder: str, cases: list[tuple[str, str]]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    for family, kind in cases:
        run = Run.open(Path(folder) / f"{family}-{kind}")
        trainer = build_trainer(run, run.data(), torch.device("cpu"), rank, 2)
        trainer.run()
        if rank == 0:
            torch.save(weights(trainer), Path(folder) / f"{family}-{kind}.weights")
        dist.barrier()
    dist.destroy_process_group()


def test_two_processes_equal_one(tmp_path: Path) -> None:
    cases = [case for case in CASES if case[0] not in COUPLED]
    for family, kind in cases:
        tiny_run(family, kind, tmp_path / f"{family}-{kind}")
    mp.spawn(_shard, (str(tmp_path), cases), nprocs=2)
    for family, kind in cases:
        alone = tiny_trainer(family, kind, tmp_path / "alone" / f"{family}-{kind}")
        alone.run()
        shared = torch.load(tmp_path / f"{family}-{kind}.weights", weights_only=True)
        for name, tensor in weights(alone).items():
            torch.testing.assert_close(
                shared[name], tensor, atol=5e-4, rtol=5e-3, msg=f"{family} {kind} {name}"
            )


def test_kill_9_leaves_a_run_that_resumes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    script = (
        "import latentia; "
        f"latentia.fit('digits', model='autoencoder', minutes=5, out={str(folder)!r}, quiet=True, "
        "settings=dict(latent=2, width=8, depth=1))"
    )
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, "-c", script], env=env)
    try:
        deadline = time.monotonic() + 60
        while not (folder / STATE_FILE).exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        time.sleep(1.0)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    run = Run.open(folder)
    assert not run.finished and run.resumable
    trainer: Trainer = build_trainer(run, run.data(), torch.device("cpu"))
    trainer.resume()
    load(folder)
    assert not list(folder.glob("*.tmp*")) or (folder / MODEL_FILE).exists()


@every_case
def test_a_condition_is_obeyed_or_refused(family: str, kind: str, tmp_path: Path) -> None:
    tiny_trainer(family, kind, tmp_path).run()
    model, asked = load(tmp_path), torch.tensor(1)
    calls = {}
    if hasattr(model, "decode"):
        calls["decode"] = lambda: model.decode(torch.zeros(2, model.latent_dim), condition=asked)
    if hasattr(model, "sample"):
        calls["sample"] = lambda: model.sample([1, 2], condition=asked)
    for call in calls.values():
        if isinstance(model, TakesClasses):
            assert call().isfinite().all()
        else:
            with pytest.raises(UserError, match="no condition"):
                call()
