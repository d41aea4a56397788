-- What a kiosk took and nobody loads is given back, in cash or by a transfer.
alter table kiosks.session add column paid_fen bigint not null default 0;
alter table kiosks.session alter column paid_fen drop default;
alter table kiosks.session drop constraint ck_session_never_more_than_stacked;
alter table kiosks.session add constraint ck_session_never_more_than_stacked
    check (credited_fen + paid_fen <= stacked_fen);
alter table kiosks.session add constraint ck_session_never_negative
    check (credited_fen >= 0 and paid_fen >= 0);

create table kiosks.payout (
    id uuid not null,
    session uuid not null,
    amount_fen bigint not null,
    way text not null,
    drawer_entry uuid,
    payee uuid,
    approval uuid,
    by uuid not null,
    reason text not null,
    created_at timestamp with time zone not null,
    constraint pk_payout primary key (id),
    constraint fk_payout_session foreign key (session) references kiosks.session (id),
    constraint ck_payout_positive check (amount_fen > 0),
    constraint ck_payout_way check (way in ('cash', 'transfer')),
    constraint ck_payout_cash_from_a_drawer check ((way = 'cash') = (drawer_entry is not null)),
    constraint ck_payout_transfers_take_two check
        ((way = 'transfer') = (payee is not null) and (way = 'transfer') = (approval is not null))
);
create index ix_payout_session on kiosks.payout (session);
