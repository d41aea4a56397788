create table payments.offline_sale (
    terminal uuid not null,
    sequence bigint not null,
    store uuid not null,
    company uuid not null,
    cashier uuid,
    root uuid,
    issuer uuid,
    payment uuid,
    reference text,
    amount_fen bigint not null constraint ck_offline_sale_positive check (amount_fen > 0),
    paid_fen bigint not null,
    lost_fen bigint not null,
    refused_fen bigint not null,
    reason text,
    rule text,
    mac bytea not null,
    occurred_at timestamptz not null,
    uploaded_at timestamptz not null,
    sold_on date not null,
    constraint pk_offline_sale primary key (terminal, sequence),
    constraint ck_offline_sale_parts check (
        paid_fen >= 0 and lost_fen >= 0 and refused_fen >= 0
        and paid_fen + lost_fen + refused_fen = amount_fen),
    constraint ck_offline_sale_refused_whole check (refused_fen in (0, amount_fen))
);
create index ix_offline_sale_root on payments.offline_sale (root, sold_on);
create index ix_offline_sale_day on payments.offline_sale (sold_on, terminal);
