"""Which one is real? Known guessers get known rates, and nothing tells them which is which."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from latentia.data.pictures import to_pixels
from latentia.errors import UserError
from latentia.fitting import fit
from latentia.guessing.answers import FILE, Answer, append, read, weights_of
from latentia.guessing.deck import Deck, drawn_deck, shuffled, suits
from latentia.guessing.rates import error_rate, result, verdict
from latentia.guessing.session import Session
from latentia.guessing.staircase import LEAST, MOST, START, Staircase, modal
from latentia.run import Run

Guesser = Callable[[np.ndarray, bool, int], bool]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    small = {"width": 8, "depth": 1, "latent": 2, "batch_size": 64}
    folder = tmp_path_factory.mktemp("guess") / "run"
    return fit("digits", examples=64, out=folder, settings=small, quiet=True)


def deck_of(n: int = 40, seed: int = 0, side: int = 8) -> Deck:
    """Bright pictures are real, dark ones are not."""
    random = np.random.default_rng(seed)
    real = random.integers(128, 256, (n // 2, side, side, 1), dtype=np.uint8)
    fake = random.integers(0, 128, (n // 2, side, side, 1), dtype=np.uint8)
    return shuffled(real, fake, seed)


def sit(folder: Path, guess: Guesser, protocol: str = "infinity", n: int = 40) -> Session:
    """A session gone through; the guesser sees the picture, the truth and the exposure."""
    session = Session(deck_of(n), protocol, folder, "w")  # type: ignore[arg-type]
    while not session.done:
        i = session.card
        session.answer(guess(session.deck.pixels[i], bool(session.deck.real[i]), exposure(session)))
    return session


def exposure(session: Session) -> int:
    return session.exposure or 0


def test_who_knows_is_never_wrong_and_who_knows_better_always(tmp_path: Path) -> None:
    knows = result(sit(tmp_path, lambda picture, real, _: bool(picture.mean() > 128)).answers)
    assert knows.wrong.value == knows.fakes.value == knows.reals.value == 0
    assert knows.wrong.low == 0 and 0.05 < (knows.wrong.high or 0) < 0.15  # 40 answers say so much
    assert "the difference is seen" in verdict(knows)
    lies = result(sit(tmp_path, lambda picture, real, _: not real).answers)
    assert lies.wrong.value == lies.wrong.high == 1 and (lies.wrong.low or 0) > 0.85
    assert "more real than the data" in verdict(lies)


def test_a_coin_is_wrong_half_of_the_time(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    coin = result(sit(tmp_path, lambda *_: bool(random.random() < 0.5), n=200).answers)
    assert coin.wrong.low is not None and coin.wrong.high is not None
    assert coin.wrong.low < 0.5 < coin.wrong.high
    assert 0.1 < coin.wrong.high - coin.wrong.low < 0.16  # 4 · sqrt(1 / 4 / 200)
    assert "not told apart" in verdict(coin)


def test_errors_on_fakes_and_on_real_pictures_are_apart(tmp_path: Path) -> None:
    trusting = result(sit(tmp_path, lambda *_: True).answers)
    assert (trusting.wrong.value, trusting.fakes.value, trusting.reals.value) == (0.5, 1, 0)


def answered(wrong: np.ndarray) -> list[Answer]:
    """`(sessions, answers)` of mistakes."""
    return [
        Answer(str(s), "infinity", "w", 0, i, True, not bad, 1.0, None, 0.0)
        for s, row in enumerate(wrong)
        for i, bad in enumerate(row)
    ]


@pytest.mark.parametrize("rate", [0.3, 0.5])
def test_intervals_of_one_session_cover(rate: float) -> None:
    random = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        found = error_rate(answered(random.random((1, 100)) < rate), trial)
        covered += (found.low or 0) <= rate <= (found.high or 0)
    assert 0.9 < covered / 300 < 0.99


def test_intervals_over_sessions_cover_though_people_differ() -> None:
    """Drawing single answers, as if nobody were better than others, would cover far less."""
    random = np.random.default_rng(0)
    covered = alone = 0
    for trial in range(150):
        skill = random.beta(2, 2, (25, 1))  # mean 1/2
        wrong = random.random((25, 20)) < skill
        found = error_rate(answered(wrong), trial)
        covered += (found.low or 0) <= 0.5 <= (found.high or 0)
        single = error_rate(answered(wrong.reshape(1, -1)), trial)
        alone += (single.low or 0) <= 0.5 <= (single.high or 0)
    assert covered / 150 > 0.88 and alone / 150 < 0.75


def test_the_staircase_keeps_the_protocol() -> None:
    stairs = Staircase()
    for right in (True, True, True):
        assert stairs.exposure == START
        stairs.answer(right)
    assert stairs.exposure == 470
    for right in (True, True, False, True, True):  # a wrong answer breaks the row
        stairs.answer(right)
    assert stairs.exposure == 480 and stairs.turns == [470]
    for _ in range(200):
        stairs.answer(True)
    assert stairs.exposure == LEAST
    for _ in range(200):
        stairs.answer(False)
    assert stairs.exposure == MOST
    assert modal([]) is None and modal([1, 2, 2, 3]) == 2


@pytest.mark.parametrize("middle", [300.0, 600.0])
def test_the_staircase_settles_where_three_in_a_row_weigh_out(middle: float) -> None:
    """Right with probability p, the exposure drifts by 10 (1 − p) − 30 p³(1 − p)/(1 − p³) a
    picture, which is nought where p³ = 1/4."""
    balance = 0.25 ** (1 / 3)
    random = np.random.default_rng(0)
    stairs = Staircase()
    for _ in range(6000):
        p = 0.5 + 0.5 / (1 + np.exp(-(stairs.exposure - middle) / 40))
        stairs.answer(bool(random.random() < p))
    expected = middle + 40 * np.log((balance - 0.5) / (1 - balance))
    assert stairs.modal is not None and abs(stairs.modal - expected) < 25
    assert np.mean(stairs.shown[1000:]) == pytest.approx(expected, abs=15)


def test_the_time_protocol_records_what_was_shown(tmp_path: Path) -> None:
    sharp = sit(tmp_path, lambda picture, real, _: real, "time", n=60)
    assert [a.exposure for a in sharp.answers[:4]] == [500, 500, 500, 470]
    blind = sit(tmp_path, lambda picture, real, _: not real, "time", n=60)
    both = result([*sharp.answers, *blind.answers], "time")
    first, second = (result(s.answers).exposure.value or 0 for s in (sharp, blind))
    assert first < START < second and both.exposure.value == pytest.approx((first + second) / 2)
    assert result(sharp.answers, "infinity").answers == 0


def test_the_minute_ends_a_session_against_the_clock(tmp_path: Path) -> None:
    now = ticks(7.0)
    session = Session(deck_of(), "clock", tmp_path, "w", now=lambda: next(now))
    with pytest.raises(UserError, match="over"):
        while True:
            session.answer(True)
    assert 2 <= len(session.answers) < 9
    assert all(a.seconds > 0 for a in session.answers)


def ticks(step: float) -> Iterator[float]:
    at = 0.0
    while True:
        yield at
        at += step


def test_answers_are_kept_line_by_line(tmp_path: Path) -> None:
    session = sit(tmp_path, lambda picture, real, _: real, n=4)
    other = Answer("s", "clock", "newer", 0, 0, True, True, 1.0, None, 0.0)
    append(tmp_path, other)
    with (tmp_path / FILE).open("a") as file:
        file.write('{"session": "half a li\n{"other": 1}\n[]\n')
    assert read(tmp_path, "w") == session.answers
    assert read(tmp_path) == [*session.answers, other]
    with pytest.raises(UserError, match="kept"):
        append(tmp_path / "gone", other)


def test_a_deck_is_drawn_by_its_seed(run: Run) -> None:
    model = run.model()
    deck, again, other = (drawn_deck(run, model, 20, seed) for seed in (5, 5, 6))
    assert len(deck) == 20 and deck.real.sum() == 10
    assert np.array_equal(deck.pixels, again.pixels) and np.array_equal(deck.real, again.real)
    assert not np.array_equal(deck.pixels, other.pixels)
    tests = {p.tobytes() for p in to_pixels(np.array(run.data("test").values))}
    assert [p.tobytes() in tests for p in deck.pixels] == deck.real.tolist()
    with pytest.raises(UserError, match="too few"):
        drawn_deck(run, model, 1, 0)


def test_orders_differ_between_seeds() -> None:
    """No place in the deck is more often real than another."""
    share = np.mean([deck_of(10, seed, side=2).real for seed in range(2000)], axis=0)
    assert np.abs(share - 0.5).max() < 0.05


def test_real_and_fake_are_encoded_alike(run: Run) -> None:
    deck = drawn_deck(run, run.model(), 12, 0)
    heads = {deck.png(i)[:33] for i in range(len(deck))}  # signature, size, depth, colour
    assert len(heads) == 1
    assert deck.mask(0)[:33] in heads and deck.mask(0) != deck.mask(1)
    chunks = [b"tEXt", b"iTXt", b"eXIf", b"tIME"]
    assert not any(chunk in deck.png(i) for i in range(len(deck)) for chunk in chunks)


def test_weights_trained_on_are_others(run: Run, tmp_path: Path) -> None:
    before = weights_of(run.folder)
    assert before == weights_of(run.folder)
    (tmp_path / "model.safetensors").write_bytes(b"other")
    assert weights_of(tmp_path) != before


def test_only_models_that_sample_pictures(run: Run) -> None:
    assert suits(run, run.model())
    assert not suits(run, torch.nn.Linear(1, 1))
    with pytest.raises(UserError, match="sample single pictures"):
        drawn_deck(run, torch.nn.Linear(1, 1), 4, 0)


def test_large_pictures_are_not_enlarged() -> None:
    from io import BytesIO

    sizes = [Image.open(BytesIO(deck_of(2, side=s).png(0))).size for s in (8, 100, 300)]
    assert sizes == [(256, 256), (200, 200), (300, 300)]
