"""Translators: what they say of themselves, and what they refuse."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from latentia.abilities import Translates, abilities_of
from latentia.errors import UserError
from latentia.models.translator import Translator


class Repaint(nn.Module):
    """Channels to channels, one pixel at a time."""

    def __init__(self, here: int, there: int, multiple: int, reach: int | None) -> None:
        super().__init__()
        self.multiple, self.reach = multiple, reach
        self.paint = nn.Conv2d(here, there, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.paint(x) * 100


def both(reach: int | None = 7) -> Translator:
    nets = {"photo": Repaint(1, 3, 4, 5), "plan": Repaint(3, 1, 6, reach)}
    return Translator(("plan", "photo"), (1, 3), nets)


def test_it_translates_both_ways_between_different_channels() -> None:
    model = both()
    assert isinstance(model, Translates) and abilities_of(model) == ("translate",)
    assert model.targets == ("plan", "photo") and model.source_of("plan") == "photo"
    assert (model.multiple, model.reach) == (12, 7)
    photo = model.translate(torch.rand(2, 1, 12, 24), "photo")
    assert photo.shape == (2, 3, 12, 24) and photo.abs().max() <= 1
    assert model.translate(photo, "plan").shape == (2, 1, 12, 24)
    assert model(torch.ones(1, 1, 12, 12), "photo").abs().max() > 1


def test_a_network_that_sees_the_whole_picture_has_no_reach() -> None:
    assert both(reach=None).reach is None


def test_names_that_no_module_may_have_are_fine() -> None:
    model = Translator(("a.b", "keys"), (1, 3), {"keys": Repaint(1, 3, 1, 0)})
    assert model.targets == ("keys",) and next(iter(model.state_dict())).startswith("nets.to_1.")


@pytest.mark.parametrize(
    ("shape", "to", "words"),
    [
        ((1, 1, 12, 12), "fotos", "photo"),
        ((1, 3, 12, 12), "photo", "turn them to grey"),
        ((1, 1, 12, 6), "photo", "6 by 12 pixels are too small .* 7 pixels or more"),
    ],
)
def test_what_does_not_fit_is_refused(shape: tuple[int, ...], to: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        both().translate(torch.zeros(shape), to)


def test_other_sizes_are_continued_by_reflection_and_cut() -> None:
    model, x = both(), torch.rand(2, 1, 13, 20) * 2 - 1
    whole = torch.nn.functional.pad(x, (0, 4, 0, 11), mode="reflect")
    made = model.translate(x, "photo")
    assert made.shape == (2, 3, 13, 20)
    assert torch.equal(made, model.translate(whole, "photo")[..., :13, :20])


def test_the_way_back_of_a_one_way_model_is_refused() -> None:
    model = Translator(("plan", "photo"), (1, 3), {"photo": Repaint(1, 3, 1, 0)})
    with pytest.raises(UserError, match="make 'photo' only"):
        model.translate(torch.zeros(1, 3, 8, 8), "plan")


def test_two_domains_of_one_name_are_none() -> None:
    with pytest.raises(UserError, match="two domains"):
        Translator(("a", "a"), (1, 1), {})
