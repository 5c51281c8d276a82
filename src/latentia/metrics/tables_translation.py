"""The figures of translations in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from latentia.metrics.lines import (
    Figures,
    Line,
    named_extractor,
    shown_interval,
    shown_number,
    shown_share,
)

_CHANCE = "a random true picture"
_REAL = "real held-out pictures"


def _prefix(facts: Figures, to: str) -> str:
    """Which way, where there are two."""
    return f"to {to}: " if len(facts["targets"]) > 1 else ""


def _paired(facts: Figures) -> Iterator[Line]:
    for to, found in facts["targets"].items():
        way, chance = _prefix(facts, to), found["random"] or {}
        for key, name in (
            ("l1", "mean absolute error (L1)"),
            ("psnr_db", "PSNR (dB)"),
            ("ssim", "structural similarity (SSIM; 1: equal)"),
        ):
            other = (shown_number(chance[key]), _CHANCE) if chance else ()
            yield Line("paired", way + name, shown_number(found[key]), *other)
        if found["perceptual"] is not None:
            name = f"{way}perceptual distance (0: looks equal)"
            yield Line("paired", name, shown_number(found["perceptual"]), "1", _CHANCE)
        yield _frechet("paired", way, found)
        yield _sharpness("paired", way, found)


def _frechet(metric: str, way: str, found: Figures) -> Line:
    mine, real = (shown_number(found[key]) for key in ("frechet", "real_frechet"))
    return Line(metric, f"{way}Fréchet distance to real pictures", mine, real, _REAL)


def _sharpness(metric: str, way: str, found: Figures) -> Line:
    name = f"{way}sharpness (below 1: softer than real)"
    return Line(metric, name, shown_number(found["sharpness"]), "1", _REAL)


def _label_agreement(facts: Figures) -> Iterator[Line]:
    for to, found in facts["targets"].items():
        way = _prefix(facts, to)
        for key, name in (
            ("accuracy", "pixels with the right label"),
            ("mean_iou", "overlap with the true areas (mean IoU)"),
        ):
            real = (shown_share(found["judge"][key]), "a net's reading of the real photograph")
            yield Line("label_agreement", way + name, shown_share(found[key]), *real)
        usual = shown_share(found["commonest"]["accuracy"])
        name = f"{way}of them, with the commonest label at every place"
        yield Line("label_agreement", name, usual)


def _translation(facts: Figures) -> Iterator[Line]:
    what = "translation"
    for to, found in facts["targets"].items():
        way = f"{found['origin']} to {to}: "
        real = shown_share(found["real_target"]["value"])
        yield Line(
            what, f"{way}a classifier says {to}", shown_interval(found["in_target"]), real, _REAL
        )
        alone = shown_share(found["source"]["value"])
        yield Line(what, f"{way}of the sources as they are", alone)
        yield Line(
            what,
            f"{way}change of content (0: source)",
            shown_number(found["content"]),
            "1",
            "a random target picture",
        )
        again, chance = (shown_share(found[key]) for key in ("found_again", "found_by_chance"))
        yield Line(what, f"{way}source found again by content", again, chance, "by chance")
        if found["cycle"] is not None:
            mine, far = (shown_number(found[key]) for key in ("cycle", "cycle_random"))
            yield Line(what, f"{way}error there and back (L1)", mine, far, "between two pictures")
        yield _frechet(what, way, found)
        yield Line(what, f"{way}the same, untranslated", shown_number(found["source_frechet"]))
        yield _sharpness(what, way, found)


def _speech(facts: Figures) -> Iterator[Line]:
    what = "speech"
    for to, found in facts["targets"].items():
        way = f"{found['origin']} to {to}: "
        made, source, real = (found[who] for who in ("converted", "source", "real"))
        share = shown_share(real["voice"]["value"])
        name = f"{way}a classifier hears {to}"
        yield Line(what, name, shown_interval(made["voice"]), share, f"real clips of {to}")
        if made["understood"] is not None:
            share = shown_share(source["understood"]["value"])
            name = f"{way}word understood"
            yield Line(what, name, shown_interval(made["understood"]), share, "the source clips")
        if made["distortion"] is not None:
            far = shown_number(source["distortion"])
            name = f"{way}mel-cepstral distortion to {to} (dB)"
            yield Line(what, name, shown_number(made["distortion"]), far, "the source clips")
        mine, theirs = (shown_number(each["pitch"]["median"]) for each in (made, real))
        yield Line(what, f"{way}median pitch (Hz)", mine, theirs, f"real clips of {to}")


def _first(facts: Figures) -> Figures:
    found: Figures = next(iter(facts["targets"].values()))
    return found


def _labels_read(facts: Figures) -> str:
    one = _first(facts)
    how = {True: "nearest colour", False: "the net"}[bool(one["into_labels"])]
    return (
        f"{one['examples']:,} held-out pairs, {one['labels']} labels; translations read by {how}; "
        f"{one['net']['name']} (hash {one['net']['hash']}); "
        f"{shown_share(one['counted_share'])} of the pixels counted, those of a clear colour"
    )


LINES = {
    "paired": _paired,
    "label_agreement": _label_agreement,
    "translation": _translation,
    "speech": _speech,
}
CONDITIONS: dict[str, Callable[[Figures], str]] = {
    "paired": lambda f: (
        f"{_first(f)['examples']:,} held-out pairs, against {_first(f)['reference_rows']:,} "
        f"training pictures; {named_extractor(_first(f))}"
    ),
    "label_agreement": _labels_read,
    "translation": lambda f: (
        " and ".join(f"{one['examples']:,} of {one['origin']}" for one in f["targets"].values())
        + " held out; the classifier is right about "
        + f"{shown_share(f['accuracy'])} of real held-out pictures; domains told apart by "
        + f"{shown_share(f['told'])} of the features of content; {named_extractor(f)}"
    ),
    "speech": lambda f: (
        " and ".join(
            f"{one['examples']:,} clips of {one['origin']}" for one in f["targets"].values()
        )
        + f" held out, all through {f['vocoder']}; "
        + (
            "words are not known: no part of the files' names tells them"
            if f["words"] is None
            else f"{f['words']} words, told by the files' names"
        )
    ),
}
