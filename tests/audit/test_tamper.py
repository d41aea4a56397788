"""ATK-13 and worse: whatever a superuser does to the books, the audit names where."""

from __future__ import annotations

import re

import pytest

from tests.audit.books import Books, failing

# A direct payment of the second store on the first day, captured and left alone.
PAID = """
  (select t.root, t.seq, t.op, t.writer, t.batch from ledger.transfer t
   join payments.payment p on p.id = t.op
   where t.purpose = 10 and p.status = 'captured' and p.refunded_fen = 0
     and t.business_date = (select min(business_date) from ledger.transfer)
   order by t.recorded_at, t.root, t.seq desc limit 1)
"""
THAT = f"(root, seq, op, writer, batch) = {PAID}"
LAST_BATCH = """
  (select writer, max(no) from ledger.batch
   where writer = (select min(id) from ledger.writer where not shared) group by writer)
"""


def place(books: Books) -> tuple[str, str]:
    """The transfer to be tampered with, and its batch, as a breach names them."""
    row = books.one(f"select row(root, seq, writer, batch)::text from {PAID} t")
    root, seq, writer, batch = row.strip("()").split(",")
    return f"transfer {root.replace('-', '')}/{seq}", f"batch {writer}/{batch}"


AMOUNT = f"update ledger.transfer set amount_fen = amount_fen + 100 where {THAT}"
STORE = f"""
  update ledger.transfer set house = other, redeeming_store = other
  from (select id as other from (select distinct house as id from ledger.transfer
    where 11 in (debit, credit)) s where id <> (select house from ledger.transfer where {THAT})) o
  where {THAT}
"""
DELETE = f"delete from ledger.transfer where {THAT}"
INSERT = f"""
  insert into ledger.transfer select * from (
    select (jsonb_populate_record(null::ledger.transfer, to_jsonb(t) || jsonb_build_object(
      'seq', r.seq + 1, 'debit', 16, 'credit', 1, 'purpose', 40, 'house', t.issuer,
      'redeeming_store', null, 'principal_after_fen', r.principal_fen + t.amount_fen,
      'bonus_after_fen', r.bonus_fen,
      'held_after_fen', r.principal_held_fen + r.bonus_held_fen))).*
    from (select * from ledger.transfer where {THAT}) t join ledger.root r on r.id = t.root) x
"""
NAIVE = {
    "amount": (AMOUNT, "I-2"),
    "store": (STORE, "I-3"),
    "delete": (DELETE, "I-2"),
    "insert": (INSERT, "I-2"),
}


@pytest.mark.parametrize("what", NAIVE)
def test_one_row(books: Books, what: str) -> None:
    """Just the row: several lines see it, and the row or its neighbour is named."""
    row, batch = place(books)
    statement, line = NAIVE[what]
    books.do(statement)
    found = failing(books.audit())
    assert {line, "I-8"} <= set(found)
    assert any(batch in each for each in found["I-8"])
    if what == "amount":
        assert any(row in each for each in found["I-2"])


@pytest.mark.parametrize("what", NAIVE)
def test_one_row_and_the_cards_mended(books: Books, what: str) -> None:
    """Balances are right again everywhere, sums tie, counts agree, the payment's row
    and the closed day say the same: the digest still names the batch.
    """
    _, batch = place(books)
    op = books.one(f"select op from {PAID} t")
    books.do(NAIVE[what][0])
    books.mend_cards()
    books.mend_days()
    books.mend_counts()
    mends = {
        "amount": f"update payments.payment set approved_fen = approved_fen + 100,"
        f" requested_fen = requested_fen + 100, captured_fen = captured_fen + 100,"
        f" principal_fen = principal_fen + 100 where id = '{op}'",
        "store": "update payments.payment set store = (select house from ledger.transfer"
        f" where op = '{op}' limit 1) where id = '{op}'",
        "delete": "update payments.payment set status = 'declined', decline_code = 'x',"
        " approved_fen = 0, captured_fen = 0, principal_fen = 0, bonus_fen = 0"
        f" where id = '{op}'",
    }
    if what in mends:
        books.do(mends[what])
    found = failing(books.audit())
    assert set(found) - {"I-5", "I-7"} == {"I-8"}  # 5: an op posted twice; 7: an event of it
    assert f"{batch}, of 2026-11-22: its transfers do not give its digest" in found["I-8"]


@pytest.mark.parametrize("mended", [False, True])
def test_two_rows_swapped(books: Books, mended: bool) -> None:
    """Two payments of one amount change cards: every sum still ties."""
    books.do(
        "create table pair as select t.*, row_number() over (order by root) as n"
        " from ledger.transfer t where purpose = 10 and amount_fen = 300 limit 2"
    )
    batches = books.one("select array_agg(distinct writer || '/' || batch) from pair")
    books.do(
        "alter table ledger.transfer drop constraint pk_transfer",
        "update ledger.transfer t set root = b.root, seq = b.seq,"
        " principal_after_fen = b.principal_after_fen, bonus_after_fen = b.bonus_after_fen,"
        " held_after_fen = b.held_after_fen from pair a join pair b on b.n = 3 - a.n"
        " where t.root = a.root and t.seq = a.seq and t.op = a.op",
    )
    if mended:
        books.do(
            "update ledger.operation o set root = t.root from ledger.transfer t join pair p"
            " on p.op = t.op where o.id = t.op",
            "update payments.payment o set root = t.root from ledger.transfer t join pair p"
            " on p.op = t.op where o.id = t.op",
            "update base.outbox o set root = b.root, root_seq = x.root_seq"
            " from pair a join pair b on b.n = 3 - a.n join base.outbox x"
            " on x.payload->>'payment' = replace(b.op::text, '-', '')"
            " where o.payload->>'payment' = replace(a.op::text, '-', '')",
        )
    found = failing(books.audit())
    assert set(found) == {"I-8"} if mended else "I-8" in found
    for batch in batches:
        why = "its transfers do not give its digest"
        assert f"batch {batch}, of 2026-11-23: {why}" in found["I-8"]


def test_two_rows_swapped_in_their_order(books: Books) -> None:
    """The same card, the same sums, another order (AT-5: a chain without row order)."""
    root = books.one(
        "select root from ledger.transfer where purpose = 10 group by root, writer, batch"
        " having count(*) >= 2 limit 1"
    )
    pair = (
        f"(select seq from ledger.transfer where root = '{root}' and purpose = 10"
        " and business_date = (select min(business_date) from ledger.transfer)"
        " order by seq limit 1)"
    )
    books.do(
        "alter table ledger.transfer drop constraint pk_transfer",
        f"update ledger.transfer set seq = case seq when {pair} then seq + 1 else seq - 1 end"
        f" where root = '{root}' and seq - {pair} in (0, 1)",
    )
    books.mend_cards()
    found = failing(books.audit())
    assert set(found) == {"I-8"}
    assert any("its transfers do not give its digest" in each for each in found["I-8"])


CUT = (
    f"delete from ledger.transfer where (writer, batch) = {LAST_BATCH}",
    f"delete from ledger.batch where (writer, no) = {LAST_BATCH}",
)


@pytest.mark.parametrize("mended", [False, True])
def test_the_tail_cut(books: Books, mended: bool) -> None:
    writer, no = (
        books.one(f"select row(writer, max)::text from {LAST_BATCH} l").strip("()").split(",")
    )
    books.do(*CUT)
    if mended:
        books.mend_cards()
        books.mend_days()
    found = failing(books.audit())
    assert ("I-2" in found) == (not mended)
    assert f"batch {writer}/{int(no) - 1}: the writer says {no}" in found["I-8"]


def test_the_tail_cut_without_a_trace_needs_an_anchor(books: Books) -> None:
    """The writer rewound, operations, rows and events removed: within the database
    there is nothing left to find. The head kept outside finds it.
    """
    anchor = books.anchor()
    assert not failing(books.audit(anchor))
    writer, no = (
        books.one(f"select row(writer, max)::text from {LAST_BATCH} l").strip("()").split(",")
    )
    ops = f"(select op from ledger.transfer where (writer, batch) = {LAST_BATCH})"
    books.do(
        f"create table gone as select distinct op, root from ledger.transfer where op in {ops}",
        *CUT,
        "delete from payments.payment where id in (select op from gone)",
        "delete from ledger.operation where id in (select op from gone)",
        "delete from base.outbox where payload->>'payment' in"
        " (select replace(op::text, '-', '') from gone)",
    )
    books.do(
        "update ledger.root r set event_seq = coalesce((select max(root_seq) from base.outbox o"
        " where o.root = r.id), 0)"
    )
    books.mend_cards()
    books.mend_days()
    books.do(
        f"update ledger.writer w set last_no = {int(no) - 1}, last_digest = (select digest"
        f" from ledger.batch b where b.writer = w.id and b.no = {int(no) - 1}) where id = {writer}"
    )
    assert not failing(books.audit())
    found = failing(books.audit(anchor))
    assert found == {"I-8": (f"batch {writer}/{no}: was there, and is gone",)}


def test_a_chain_written_anew_needs_an_anchor(books: Books) -> None:
    """A forger who recomputes every digest is found by what was kept outside."""
    anchor = books.anchor()
    _, batch = place(books)
    op = books.one(f"select op from {PAID} t")
    books.do(STORE)
    books.do(
        "update payments.payment set store = (select house from ledger.transfer"
        f" where op = '{op}' limit 1) where id = '{op}'"
    )
    books.mend_days()
    books.mend_chain()
    assert not failing(books.audit())
    found = failing(books.audit(anchor))
    writer = batch.split()[1].split("/")[0]
    assert set(found) == {"I-8"} and len(found["I-8"]) == 1
    assert re.fullmatch(rf"batch {writer}/\d+: was there with another digest", found["I-8"][0])


CASES = {
    # What is changed, which line sees it, and how it is named.
    "a card's balance": (
        "update ledger.root set principal_fen = principal_fen + 1 where id = {card}",
        "I-2",
        "root {card_hex}: principal is off by 1 fen",
    ),
    "bonus turned into money": (
        "update ledger.root set principal_fen = principal_fen + 5, bonus_fen = bonus_fen - 5"
        " where id = {card}",
        "I-2",
        "root {card_hex}: principal is off by 5 fen",
    ),
    "a card removed": (
        "delete from ledger.root where id = {card}",
        "I-2",
        "root {card_hex}: has transfers and is not there",
    ),
    "a card's currency": (
        "update ledger.root set currency = 'USD' where id = {card}",
        "I-1",
        "another currency than the card",
    ),
    "a card's issuer": (
        "update ledger.root set issuer = gen_random_uuid() where id = {card}",
        "I-9",
        "off by",
    ),
    "an account": (
        "update ledger.transfer set debit = 2 where purpose = 11 and debit = 1 and root = {card}",
        "I-1",
        "turns paid value into bonus or back",
    ),
    "an account nobody knows": (
        "update ledger.transfer set credit = 99 where purpose = 10 and root = {card}",
        "I-1",
        "an account that is not in the chart",
    ),
    "half of a transfer between cards": (
        "delete from ledger.transfer where purpose = 20 and debit = 13",
        "I-1",
        "700 fen on the way",
    ),
    "a hold made larger": (
        "update ledger.hold set state = 0, principal_fen = 7 where root = {card}",
        "I-2",
        "root {card_hex}: the card holds 0 + 0 fen, its open holds",
    ),
    "a hold that is over with value": (
        "update ledger.hold set principal_fen = 7 where root = {card}",
        "I-2",
        "is over and still holds value",
    ),
    "an operation removed": (
        "delete from ledger.operation where id in (select op from ledger.transfer"
        " where purpose = 10 and root = {card})",
        "I-3",
        "an operation that is not there",
    ),
    "an operation barred afterwards": (
        "update ledger.operation set state = 1 where id in (select op from ledger.transfer"
        " where purpose = 10 and root = {card})",
        "I-3",
        "a barred operation moved value",
    ),
    "an operation of another card": (
        "update ledger.operation set root = gen_random_uuid() where root = {card}",
        "I-3",
        "the operation is of card",
    ),
    "a payment's amount": (
        "update payments.payment set principal_fen = principal_fen + 1,"
        " captured_fen = captured_fen + 1, approved_fen = approved_fen + 1,"
        " requested_fen = requested_fen + 1 where status = 'captured' and root = {card}",
        "I-3",
        "approved",
    ),
    "a payment's store": (
        "update payments.payment set store = gen_random_uuid() where status = 'captured'"
        " and root = {card}",
        "I-3",
        "moved at another store",
    ),
    "a payment's card": (
        "update payments.payment set root = gen_random_uuid() where status = 'captured'"
        " and root = {card}",
        "I-3",
        "moved on another card",
    ),
    "a payment's status": (
        "update payments.payment set status = 'authorized' where status = 'captured'"
        " and root = {card}",
        "I-3",
        "its amounts say otherwise",
    ),
    "a void forgotten": (
        "update payments.payment set status = 'captured', captured_fen = approved_fen,"
        " principal_fen = approved_fen where status = 'voided' and captured_fen = 0",
        "I-3",
        "undone, and says captured",
    ),
    "a payment removed": (
        "delete from payments.payment where status = 'captured' and root = {card}",
        "I-3",
        "value moved for a payment that is not there",
    ),
    "a decline that paid": (
        "update payments.payment set status = 'declined', decline_code = 'x'"
        " where status = 'captured' and root = {card}",
        "I-3",
        "declined, and moved value",
    ),
    "a payment invented": (
        "insert into payments.payment select (jsonb_populate_record(p, jsonb_build_object('id',"
        " gen_random_uuid()))).* from payments.payment p where status = 'declined' limit 1",
        "I-4",
        "a payment nobody asked for",
    ),
    "a lot's amount": (
        "update ledger.lot set principal_fen = principal_fen + 1 where principal_fen > 0"
        " and root = {card}",
        "I-3",
        "a lot of",
    ),
    "a lot removed": (
        "delete from ledger.lot where root = {card}",
        "I-3",
        "a load without a lot",
    ),
    "a top-up's amount": (
        "update topups.topup set amount_fen = amount_fen + 1 where root = {card}",
        "I-3",
        "a top-up of",
    ),
    "a top-up voided on paper": (
        "update topups.topup set status = 'voided' where root = {card}",
        "I-3",
        "a top-up that says voided",
    ),
    "a refund's amount": (
        "update payments.refund set amount_fen = amount_fen + 1, principal_fen = principal_fen + 1",
        "I-6",
        "a refund that moved another amount",
    ),
    "a refund's payment": (
        "update payments.refund set payment = gen_random_uuid()",
        "I-6",
        "a refund of another payment",
    ),
    "a refund removed": ("delete from payments.refund", "I-6", "a refund without a row"),
    "a refund sent elsewhere": (
        "update payments.refund set destination = 'suspense'",
        "I-6",
        "a refund that went elsewhere",
    ),
    "a reversal's amount": (
        "update payments.reversal set amount_fen = 0 where amount_fen > 0",
        "I-6",
        "a reversal that moved another amount",
    ),
    "more refunded than paid": (
        "update ledger.transfer set amount_fen = 9000 where purpose = 15",
        "I-6",
        "9000 fen undone of",
    ),
    "a refund of nothing": (
        "update ledger.transfer set related = null where purpose = 15",
        "I-6",
        "fen undone of 0",
    ),
    "an event removed": (
        "delete from base.outbox where root = {card} and root_seq = 2",
        "I-7",
        "root {card_hex}: ",
    ),
    "the last event removed": (
        "delete from base.outbox where root = {card} and root_seq ="
        " (select event_seq from ledger.root where id = {card})",
        "I-7",
        "root {card_hex}: ",
    ),
    "an event doubled": (
        "insert into base.outbox (root, root_seq, type, version, payload, recorded_at)"
        " select root, root_seq, type, version, payload, recorded_at from base.outbox"
        " where root = {card} and root_seq = 2",
        "I-7",
        "root {card_hex}: ",
    ),
    "an event of a payment that never was": (
        """update base.outbox set payload = '{{"payment": "00000000000000000000000000000000"}}'
        where root = {card} and type = 'payment.captured'""",
        "I-7",
        "payment.captured of what is not in the books",
    ),
    "a reader out of bounds": (
        "insert into base.outbox_reader values ('webhooks', '999999999', 1)",
        "I-7",
        "reader webhooks: stands at 999999999/1",
    ),
    "a batch removed from the middle": (
        "delete from ledger.batch where no = 2 and writer = 1",
        "I-8",
        "of a batch that is not there",
    ),
    "a writer's last digest": (
        r"update ledger.writer set last_digest = '\x00'::bytea where id = 1",
        "I-8",
        "the writer's digest is another",
    ),
    "a writer rewound": (
        "update ledger.writer set last_no = last_no - 1 where id = 1",
        "I-8",
        "the writer says",
    ),
    "an offline sale removed": (
        "delete from payments.offline_sale",
        "I-3",
        "a loss of 250 fen that no offline sale explains",
    ),
    "an offline sale made larger": (
        "update payments.offline_sale set amount_fen = amount_fen + 1, lost_fen = lost_fen + 1",
        "I-3",
        "its payment is of another card, till or amount",
    ),
    "a loss made larger": (
        "update payments.offline_sale set paid_fen = paid_fen - 1, lost_fen = lost_fen + 1",
        "I-3",
        "the card paid",
    ),
    "a loss that was not booked": (
        "update ledger.transfer set debit = 16 where debit = 18",
        "I-3",
        "its loss moved between other accounts",
    ),
    "a loss to another store": (
        "update ledger.transfer set house = gen_random_uuid() where purpose = 41 and credit = 11",
        "I-3",
        "lost to another store",
    ),
    "a refused sale that was paid": (
        "update payments.offline_sale set paid_fen = 0, lost_fen = 0, refused_fen = amount_fen",
        "I-3",
        "refused, and has a payment",
    ),
    "a card honoured twice": (
        "insert into payments.offline_sale select (jsonb_populate_record(s,"
        " jsonb_build_object('sequence', 2))).* from payments.offline_sale s",
        "I-3",
        "2 sales on one day",
    ),
    "a writer removed": ("delete from ledger.writer where id = 1", "I-8", "not there"),
    "a batch's moment": (
        "update ledger.batch set recorded_at = recorded_at - interval '1 microsecond'"
        " where writer = 1 and no = 1",
        "I-8",
        "batch 1/1",
    ),
    "a transfer's moment": (
        "update ledger.transfer set occurred_at = occurred_at + interval '1 microsecond'"
        " where writer = 1 and batch = 1",
        "I-8",
        "batch 1/1",
    ),
    "a checkpoint": (
        "update ledger.checkpoint set credit_fen = credit_fen + 1 where account = 11",
        "I-9",
        "account 11",
    ),
    "a checkpoint of an open day": (
        "insert into ledger.checkpoint select account, owner, currency, business_date + 1,"
        " debit_fen, credit_fen from ledger.checkpoint",
        "I-9",
        "account 11",
    ),
    "a closed day opened": (
        "delete from ledger.closed_day",
        "I-9",
        "kept",
    ),
    "a closed day's count": (
        "update ledger.closed_day set transfers = transfers + 1",
        "I-9",
        "day 2026-11-22: closed with",
    ),
    "a batch after the closing": (
        "update ledger.closed_day set closed_at = closed_at - interval '1 day 1 second'",
        "I-9",
        "recorded after the day was closed",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_case(books: Books, case: str) -> None:
    statement, line, named = CASES[case]
    card = books.one("select id from ledger.root order by id limit 1")
    at = {"card": f"'{card}'", "card_hex": card.hex}
    books.do(statement.format(**at))
    found = failing(books.audit())
    assert any(named.format(**at) in each for each in found[line]), found


CONSTRAINTS = {
    "two operations of one key": (
        "alter table ledger.operation drop constraint pk_operation",
        "insert into ledger.operation select company, key, gen_random_uuid(), root, mac, state,"
        " result, recorded_at from ledger.operation where key = 'pay/late'",
        "I-5",
        "key pay/late: 2 operations of one company",
    ),
    "two operations of one id": (
        "alter table ledger.operation drop constraint pk_operation",
        "insert into ledger.operation select company, key || 'x', id, root, mac, state,"
        " result, recorded_at from ledger.operation where key = 'pay/late'",
        "I-5",
        "an id of 2 operations",
    ),
    "a negative balance": (
        "alter table ledger.root drop constraint ck_root_never_negative",
        "update ledger.root set bonus_fen = -1",
        "I-2",
        "below zero",
    ),
    "an amount of nothing": (
        "alter table ledger.transfer drop constraint ck_transfer_positive",
        "update ledger.transfer set amount_fen = 0 where purpose = 20",
        "I-1",
        "moves nothing",
    ),
    "one account on both sides": (
        "alter table ledger.transfer drop constraint ck_transfer_two_accounts",
        "update ledger.transfer set debit = credit where purpose = 11",
        "I-1",
        "debits and credits one account",
    ),
    "no card at all": (
        "alter table ledger.transfer drop constraint ck_transfer_touches_its_root",
        "update ledger.transfer set debit = 10 where purpose = 10",
        "I-1",
        "touches no card",
    ),
    "a house without an owner": (
        "alter table ledger.transfer drop constraint ck_transfer_house_has_owner",
        "update ledger.transfer set house = null where purpose = 10",
        "I-1",
        "a house account and its owner go together",
    ),
    "a number used twice": (
        "alter table ledger.transfer drop constraint pk_transfer",
        "update ledger.transfer set seq = seq - 1 where purpose = 10",
        "I-2",
        "follows number",
    ),
}


@pytest.mark.parametrize("case", CONSTRAINTS)
def test_constraint_dropped_first(books: Books, case: str) -> None:
    drop, statement, line, named = CONSTRAINTS[case]
    books.do(drop, statement)
    found = failing(books.audit())
    assert any(named in each for each in found[line]), found


def test_many_breaches_are_counted_and_some_are_named(books: Books) -> None:
    books.do("update ledger.transfer set amount_fen = amount_fen + 1")
    lines = [line for line in books.audit().lines if line.breach_count > 10]
    assert lines and all(len(line.breaches) == 10 for line in lines)
