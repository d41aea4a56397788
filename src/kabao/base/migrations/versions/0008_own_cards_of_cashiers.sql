alter table merchants.cashier add column customer uuid;
create table cards.own_card_flag (
    id uuid not null constraint pk_own_card_flag primary key,
    source text not null constraint uq_own_card_flag_source unique,
    deed text not null constraint ck_own_card_flag_deed
        check (deed in ('refund', 'load', 'activation')),
    store uuid not null,
    cashier uuid not null,
    card uuid not null,
    amount_fen bigint constraint ck_own_card_flag_amount check (amount_fen > 0),
    at timestamptz not null,
    noted_at timestamptz not null
);
create index ix_own_card_flag_store on cards.own_card_flag (store, id);
