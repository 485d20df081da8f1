"""What is odd in an archive: near duplicates, leaks, labels that their neighbours deny, personal data."""

from graphret.auditing.audit_index import audit
from graphret.auditing.page import write_audit_html
from graphret.auditing.personal_data import PersonalData, Suspicion, audit_phi
from graphret.auditing.report import Audit

__all__ = ["Audit", "PersonalData", "Suspicion", "audit", "audit_phi", "write_audit_html"]
