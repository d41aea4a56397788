alter table topups.refund
    add column from_bonus_fen bigint not null default '0',
    add constraint ck_refund_from_bonus check (from_bonus_fen between 0 and amount_fen);
