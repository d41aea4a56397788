"""Every column of bytes is either walked by a rotation of keys, or said to hold nothing sealed."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa

from kabao.app.migrate import tables
from kabao.app.sealed import SEALED

DIGEST, MAC, INDEX = "a digest", "a MAC or what seals one", "a keyed hash"
PLAIN = {
    "access.api_key.token_hash": DIGEST,
    "access.approval.digest": DIGEST,
    "access.approval.payload": "an approval's inert data, without secrets",
    "access.approval.result": "what an approval brought about, without secrets",
    "access.approval.seal": MAC,
    "access.audit_head.digest": DIGEST,
    "access.audit_log.digest": DIGEST,
    "access.audit_log.seal": MAC,
    "access.operator.invitation": DIGEST,
    "access.session.token_hash": DIGEST,
    "base.idempotency.body": "sealed for a day and gone then: see `kabao.app.sealed`",
    "base.idempotency.mac": MAC,
    "cards.credential.pin_mac": MAC,
    "cards.credential.pin_salt": "chance",
    "clearing.account.number_index": INDEX,
    "clearing.rule.digest": DIGEST,
    "clearing.run.inputs": "ids and figures",
    "clearing.run.inputs_digest": DIGEST,
    "clearing.run.result": "ids and figures",
    "clearing.run.result_digest": DIGEST,
    "clearing.window.inputs_digest": DIGEST,
    "clearing.window.result_digest": DIGEST,
    "clearing.payout_batch.digest": DIGEST,
    "customers.customer.identity_index": INDEX,
    "customers.customer.phone_index": INDEX,
    "evidence.leaf.digest": DIGEST,
    "evidence.tree.previous": DIGEST,
    "evidence.tree.public_key": "public",
    "evidence.tree.root": DIGEST,
    "evidence.tree.signature": "public",
    "reconciliation.run.books_digest": DIGEST,
    "reconciliation.run.lines_digest": DIGEST,
    "reconciliation.run.result_digest": DIGEST,
    "ledger.batch.digest": DIGEST,
    "ledger.house_transfer.digest": DIGEST,
    "ledger.operation.mac": MAC,
    "ledger.writer.last_digest": DIGEST,
    "reports.roll.digest": DIGEST,
    "merchants.cashier_pin.mac": MAC,
    "merchants.cashier_pin.salt": "chance",
    "paycodes.device.public_key": "public",
    "payments.offline_sale.mac": MAC,
    "pos.entry.mac": MAC,
    "proofs.code.mac": MAC,
    "proofs.counter.subject": INDEX,
    "proofs.page_token.mac": MAC,
    "topups.topup.paid_by": INDEX,
}
"""What no rotation walks, and why it need not."""

COLUMNS = {
    f"{table.schema}.{table.name}.{column.name}": column
    for table in tables().tables.values()
    for column in table.columns
    if isinstance(column.type, sa.types._Binary)
}


@pytest.mark.parametrize("name", COLUMNS)
def test_bytes_are_rotated_or_said_to_be_plain(name: str) -> None:
    sealed = {str(target) for target in SEALED}
    assert (name in sealed) != (name in PLAIN), "add it to its slice's REWRAP_TARGETS, or to PLAIN"


def test_nothing_is_listed_that_is_not_there() -> None:
    assert {str(target) for target in SEALED} | PLAIN.keys() == COLUMNS.keys()


@pytest.mark.parametrize("target", SEALED, ids=str)
def test_a_rotation_walks_a_table_by_its_primary_key(target: Any) -> None:
    key = COLUMNS[str(target)].table.primary_key.columns.keys()
    assert key == [target.id_column]
