-- A drawer gives back whole coins, and a refund says how much of it passes over the counter.
alter table tenders.tender add column coin_fen bigint default '1' not null;
alter table tenders.tender add constraint ck_tender_coin
    check (coin_fen >= 1 and (coin_fen = 1 or kind = 'cash'));
alter table tenders.refund_part add column due_back_fen bigint default '0' not null;
update tenders.refund_part set due_back_fen = amount_fen where payment_refund is null;
alter table tenders.refund_part add constraint ck_refund_part_due_back
    check (due_back_fen >= 0 and (due_back_fen = 0 or payment_refund is null));
