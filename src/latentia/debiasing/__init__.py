"""A classifier that does not neglect what its data hold little of, beside a plain one."""

from latentia.debiasing.compare import Debiased as Debiased
from latentia.debiasing.compare import debias as debias
from latentia.debiasing.sets import joined as joined
from latentia.debiasing.sets import one_class as one_class
from latentia.debiasing.sets import two_sources as two_sources
