"""What a data set lacks, before a model that is trained on it fails."""

from latentia.audit.audit import audit as audit
from latentia.audit.result import AuditResult as AuditResult
