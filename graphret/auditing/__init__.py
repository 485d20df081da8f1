"""What is odd in an archive: near duplicates, leaks between splits and patients, labels that their neighbours deny."""

from graphret.auditing.audit_index import audit
from graphret.auditing.report import Audit

__all__ = ["Audit", "audit"]
