create table ledger.house_transfer (
    no bigint not null constraint pk_house_transfer primary key,
    op uuid not null,
    debit smallint not null,
    debit_owner uuid not null,
    credit smallint not null,
    credit_owner uuid not null,
    amount_fen bigint not null,
    currency char(3) not null,
    purpose smallint not null,
    issuer uuid not null,
    channel text,
    related uuid,
    for_date date,
    recorded_at timestamptz not null,
    business_date date not null,
    digest bytea not null,
    constraint ck_house_transfer_positive check (no > 0 and amount_fen > 0),
    constraint ck_house_transfer_touches_no_root check (debit >= 10 and credit >= 10),
    constraint ck_house_transfer_two_accounts
        check (debit <> credit or debit_owner <> credit_owner)
);
create index ix_house_transfer_debit
    on ledger.house_transfer (debit_owner, debit, business_date);
create index ix_house_transfer_credit
    on ledger.house_transfer (credit_owner, credit, business_date);
create index ix_house_transfer_day on ledger.house_transfer (business_date, no);
create index ix_house_transfer_related on ledger.house_transfer (related);
create function ledger.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '%.% is only ever added to', tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege';
end $$;
create trigger house_transfer_stays before update or delete on ledger.house_transfer
    for each row execute function ledger.refuse_change();
create trigger house_transfer_never_emptied before truncate on ledger.house_transfer
    for each statement execute function ledger.refuse_change();
