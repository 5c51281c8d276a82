"""The one exception a user meets: a plain sentence or two with the way out."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class UserError(ValueError):
    """Something in the user's hands is wrong; the message names it and the way out.

    The command line prints it without a traceback and exits with status 2.
    """


def nearest(word: str, known: Iterable[str]) -> str:
    """A hint that names the closest known words, or all of them.

    >>> nearest("betta", ["beta", "latent"])
    "did you mean 'beta'?"
    """
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=3, cutoff=0.5)
    if close:
        return "did you mean " + " or ".join(repr(c) for c in close) + "?"
    return "known: " + ", ".join(names)
