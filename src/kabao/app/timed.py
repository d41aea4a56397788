"""What a worker does besides: whatever falls due in any slice."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from kabao.access.jobs import register as register_access_jobs
from kabao.base.jobs import Jobs
from kabao.cards.jobs import register as register_card_jobs
from kabao.cards.jobs import register_watch
from kabao.cards.jobs_issue import register as register_issue_jobs
from kabao.clearing.jobs import register as register_clearing_jobs
from kabao.clearing.jobs_payouts import register as register_payout_jobs
from kabao.disputes.jobs import register as register_dispute_jobs
from kabao.evidence.jobs import register as register_evidence_jobs
from kabao.funding.jobs import register as register_funding_jobs
from kabao.kiosks.jobs import register as register_kiosk_jobs
from kabao.proofs.jobs import register as register_proof_jobs
from kabao.reconciliation.jobs import register as register_reconciliation_jobs
from kabao.reports.jobs import register as register_report_jobs
from kabao.risk.jobs import register as register_risk_jobs
from kabao.tenders.jobs import register as register_tender_jobs

if TYPE_CHECKING:
    from kabao.app.composition import Kabao

HOLDS_EVERY = timedelta(seconds=2)
PURGE_EVERY = timedelta(minutes=5)


def add_jobs(kabao: Kabao, jobs: Jobs) -> None:
    """Give the worker what falls due: holds, cards, visits, old secrets."""
    jobs.tick("payments.expire_holds", HOLDS_EVERY, kabao.payments.expire_holds)
    jobs.tick("paycodes.forget", PURGE_EVERY, kabao.paycodes.forget)
    jobs.tick("web.purge_secrets", PURGE_EVERY, kabao.once.purge)
    register_access_jobs(jobs, kabao.db, kabao.access)
    register_proof_jobs(jobs, kabao.db, kabao.proofs)
    register_card_jobs(jobs, kabao.db, kabao.life)
    register_watch(jobs, kabao.own_cards)
    register_issue_jobs(jobs, kabao.db, kabao.cards)
    register_funding_jobs(jobs, kabao.funding)
    register_tender_jobs(jobs, kabao.tenders)
    register_risk_jobs(jobs, kabao.risk)
    register_kiosk_jobs(jobs, kabao.kiosks)
    register_evidence_jobs(jobs, kabao.evidence)
    register_clearing_jobs(jobs, kabao.clearing, kabao.settlement_accounts)
    register_dispute_jobs(jobs, kabao.disputes)
    register_payout_jobs(jobs, kabao.morning.paying, kabao.morning.deposits)
    register_report_jobs(jobs, kabao.reports)
    register_reconciliation_jobs(jobs, kabao.reconciliation, kabao.channel_bills)
    kabao.telling.add_jobs(jobs)
