create table merchants.cashier_pin (
    cashier uuid not null constraint pk_cashier_pin primary key
        constraint fk_cashier_pin_cashier references merchants.cashier (id),
    salt bytea not null,
    mac bytea not null,
    tries smallint not null constraint ck_cashier_pin_tries check (tries >= 0),
    locked_until timestamptz,
    set_at timestamptz not null
);
create table merchants.override (
    id uuid not null constraint pk_override primary key,
    verb text not null
        constraint ck_override_verb check (verb in ('typed_card', 'refund', 'void')),
    store uuid not null,
    cashier uuid not null,
    subject text not null
        constraint ck_override_subject_length check (length(subject) between 1 and 64),
    amount_fen bigint not null constraint ck_override_amount check (amount_fen >= 0),
    supervisor uuid not null
        constraint fk_override_supervisor references merchants.cashier (id),
    created_at timestamptz not null,
    expires_at timestamptz not null,
    used_by text,
    constraint ck_override_two_persons check (supervisor <> cashier)
);
alter table merchants.terminal drop constraint uq_terminal_store_terminal_no;
create unique index uq_terminal_number on merchants.terminal (store, terminal_no)
    where state <> 'retired';
