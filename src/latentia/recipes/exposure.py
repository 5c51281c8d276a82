"""A recipe's game with known outliers beside the data."""

from __future__ import annotations

from torch import nn

from latentia.data.spec import DataSpec
from latentia.errors import UserError
from latentia.game import Objective
from latentia.models.variational import VariationalModel
from latentia.objectives.debias import Debias
from latentia.objectives.exposure import Exposed, Outliers


def exposed(objective: Objective, model: nn.Module, spec: DataSpec, outliers: Outliers) -> Exposed:
    """The game with the term of outlier exposure.

    Raises:
        UserError: a game that does not raise a bound on the likelihood of all its data.
    """
    fits = isinstance(model, VariationalModel) and len(objective.players) == 1
    if not fits or isinstance(objective, Debias):
        raise UserError(
            "Known outliers are for the family vae, whose bound on the likelihood they are to "
            "lie below; leave them out for other families."
        )
    assert isinstance(model, VariationalModel)
    return Exposed(objective, model, outliers, spec.dims)
