"""Studies: several models that differ in one setting, side by side, with a recommendation."""

from latentia.study.betas import beta
from latentia.study.outcome import BetaRow, SizeRow, Study
from latentia.study.rules import Recommendation
from latentia.study.sizes import dimensions

__all__ = ["BetaRow", "Recommendation", "SizeRow", "Study", "beta", "dimensions"]
