"""Feature extractors: learned, cached, deterministic, and honest about what they are."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from latentia.abilities import Classifies
from latentia.data.spec import Dataset, DataSpec
from latentia.errors import UserError
from latentia.metrics.convnet import ConvNet, default_examples, pseudo_labels
from latentia.metrics.features import ClassifierFeatures, FeatureExtractor, default_extractor
from latentia.metrics.fidelity import fidelity


def digits(rows: slice, *, labelled: bool = True) -> Dataset:
    raw = load_digits()
    values = (raw.images[rows] * 255 / 16).round().astype(np.uint8)[:, None]
    labels = raw.target[rows].astype(np.int64)
    names = tuple("0123456789")
    spec = DataSpec("digits", "image", (1, 8, 8), len(values), "d" * 16, names)
    return Dataset(spec, values, labels if labelled else None)


TRAIN, TEST = slice(0, 1400), slice(1400, None)


def test_the_default_classifier_knows_digits_and_is_found_in_the_cache(tmp_path: Path) -> None:
    train, test = digits(TRAIN), digits(TEST)
    seen: list[tuple[int, int]] = []
    learn = lambda done, total: seen.append((done, total))  # noqa: E731
    first = default_extractor(train, test, tmp_path, examples=15_000, progress=learn)
    assert isinstance(first, FeatureExtractor) and isinstance(first, Classifies)
    assert isinstance(first, ClassifierFeatures)
    assert first.accuracy > 0.93
    assert seen and seen[-1][0] == seen[-1][1]

    x = test.batch(np.arange(20)).x
    features, chances = first(x), first.predict_proba(x)
    assert features.shape == (20, first.dims) and features.dtype == torch.float32
    assert 64 <= first.dims <= 128
    assert torch.allclose(chances.sum(1), torch.ones(20))

    seen.clear()
    again = default_extractor(train, test, tmp_path, examples=15_000, progress=learn)
    assert seen == []  # not trained a second time
    assert again.hash == first.hash and torch.equal(again(x), features)


def test_training_is_a_function_of_data_and_seed(tmp_path: Path) -> None:
    train, test = digits(slice(0, 200)), digits(TEST)
    torch.manual_seed(1)
    a = default_extractor(train, test, tmp_path / "a", examples=1000)
    torch.manual_seed(2)
    state = torch.get_rng_state()
    b = default_extractor(train, test, tmp_path / "b", examples=1000)
    assert a.hash == b.hash
    assert torch.equal(torch.get_rng_state(), state)
    assert default_extractor(train, test, tmp_path / "a", 1, examples=1000).hash != a.hash


def test_other_rows_or_labels_of_the_same_data_get_another_extractor(tmp_path: Path) -> None:
    test = digits(TEST)
    whole = digits(slice(0, 400))
    parts = [whole.subset(slice(0, 200)), whole.subset(slice(200, 400))]
    turned = Dataset(parts[0].spec, parts[0].values, 9 - parts[0].labels)  # type: ignore[operator]
    hashes = {
        default_extractor(part, test, tmp_path, examples=200).hash for part in [*parts, turned]
    }
    assert len(hashes) == 3


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    train, test = digits(slice(0, 200)), digits(TEST)
    first = default_extractor(train, test, tmp_path, examples=200)
    (kept,) = tmp_path.rglob("*.safetensors")
    kept.write_bytes(kept.read_bytes()[:100])
    assert default_extractor(train, test, tmp_path, examples=200).hash == first.hash
    assert not list(tmp_path.rglob("*.tmp*"))


def test_the_cache_lies_where_the_environment_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTIA_CACHE", str(tmp_path / "here"))
    default_extractor(digits(slice(0, 100)), examples=100)
    assert list((tmp_path / "here").rglob("*.safetensors"))


def test_without_test_data_a_tenth_is_held_out(tmp_path: Path) -> None:
    extractor = default_extractor(digits(slice(0, 600)), None, tmp_path, examples=8000)
    assert isinstance(extractor, ClassifierFeatures)
    assert 0.7 < extractor.accuracy <= 1


def test_unlabelled_pictures_get_a_net_on_clusters_that_claims_no_classes(tmp_path: Path) -> None:
    extractor = default_extractor(
        digits(slice(0, 300), labelled=False), None, tmp_path, examples=600
    )
    assert "k-means" in extractor.name
    assert not isinstance(extractor, Classifies)
    assert not hasattr(extractor, "accuracy")


def test_features_without_labels_see_noise_and_blur(tmp_path: Path) -> None:
    train = digits(slice(0, 1200), labelled=False)
    test = digits(slice(1200, None), labelled=False)
    extractor = default_extractor(train, test, tmp_path, examples=9000)
    x = test.batch(np.arange(400)).x
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    blurred = torch.nn.functional.avg_pool2d(x, 3, 1, 1)
    kept, noisy, soft = (
        fidelity(samples, train, test, extractor) for samples in (x, x + 0.3 * noise, blurred)
    )
    for worse in (noisy, soft):
        assert worse["kernel"] > 5 * kept["kernel"]  # clusters alone: 1.4 times for noise
        assert worse["coverage"] < kept["coverage"] - 0.2


def test_clusters_agree_with_digits() -> None:
    data = digits(TRAIN)
    found = pseudo_labels(data)
    assert data.labels is not None
    majority = sum(np.bincount(data.labels[found == k]).max() for k in range(10))
    assert majority / len(data) > 0.6
    assert np.array_equal(found, pseudo_labels(data))


def test_vectors_are_standardised(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal([3, -1, 7], [2, 0.1, 0], (500, 3)).astype(np.float32)
    data = Dataset(DataSpec("points", "vector", (3,), 500, "0" * 16), values)
    extractor = default_extractor(data, None, tmp_path)
    features = extractor(torch.from_numpy(values))
    assert torch.allclose(features.mean(0), torch.zeros(3), atol=1e-5)
    assert torch.allclose(features.std(0, correction=0), torch.tensor([1.0, 1.0, 0.0]), atol=1e-4)
    assert extractor.dims == 3
    assert not list(tmp_path.iterdir())


def test_a_handful_of_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at least 20"):
        default_extractor(digits(slice(0, 5)), None, tmp_path)


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 64, 64), (1, 28, 28), (3, 5, 40), (4, 1, 1)])
def test_the_net_takes_any_picture_size(shape: tuple[int, ...]) -> None:
    net = ConvNet(shape, 7).eval()
    x = torch.zeros(2, *shape)
    assert net(x).shape == (2, 7)
    assert net.features(x).shape == (2, 96)


def test_training_effort_is_bounded_by_pixels_and_by_passes() -> None:
    small, mnist, large = (
        Dataset(DataSpec("x", "image", shape, n, "0" * 16), np.zeros((n, 1), np.uint8))
        for shape, n in (((1, 8, 8), 100), ((1, 28, 28), 60_000), ((3, 128, 128), 60_000))
    )
    assert default_examples(small) == 4000
    assert default_examples(large) < default_examples(mnist) == 240_000
