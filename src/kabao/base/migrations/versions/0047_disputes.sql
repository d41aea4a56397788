create table payments.lent (
    payment uuid not null constraint pk_lent primary key
        constraint fk_lent_payment references payments.payment (id),
    lent_principal_fen bigint not null,
    lent_bonus_fen bigint not null,
    constraint ck_lent_amounts check (lent_principal_fen >= 0 and lent_bonus_fen >= 0)
);
create schema disputes;
create table disputes.dispute (
    id uuid not null constraint pk_dispute primary key,
    payment uuid not null,
    root uuid not null,
    card uuid not null,
    issuer uuid not null,
    store uuid not null,
    store_company uuid not null,
    currency char(3) not null,
    amount_fen bigint not null,
    reason text not null,
    state text not null,
    accepted boolean,
    lent_principal_fen bigint not null,
    lent_bonus_fen bigint not null,
    evidence_due_on date,
    decide_by date not null,
    overdue boolean not null,
    outcome text,
    bearer text,
    given_fen bigint not null,
    taken_back_fen bigint not null,
    owed_fen bigint not null,
    opened_at timestamptz not null,
    decided_at timestamptz,
    constraint ck_dispute_amounts check (
        amount_fen > 0 and lent_principal_fen >= 0 and lent_bonus_fen >= 0 and given_fen >= 0
        and taken_back_fen >= 0 and owed_fen >= 0 and given_fen <= amount_fen
        and lent_principal_fen + lent_bonus_fen <= amount_fen),
    constraint ck_dispute_state check (state in ('opened', 'evidence_due', 'decided')),
    constraint ck_dispute_decided check (
        (state = 'decided') = (outcome is not null)
        and (state = 'decided') = (decided_at is not null)
        and (outcome is null or (outcome = 'holder') = (bearer is not null))
        and (state <> 'decided' or lent_principal_fen + lent_bonus_fen = 0))
);
create index ix_dispute_payment on disputes.dispute (payment);
create unique index uq_dispute_open_payment on disputes.dispute (payment) where state <> 'decided';
create index ix_dispute_open on disputes.dispute (decide_by) where state <> 'decided';
create table disputes.step (
    dispute uuid not null constraint fk_step_dispute references disputes.dispute (id),
    n smallint not null,
    what text not null,
    by uuid not null,
    note text not null,
    at timestamptz not null,
    constraint pk_step primary key (dispute, n)
);
