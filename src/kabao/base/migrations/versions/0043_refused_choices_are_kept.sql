-- Their transactions are undone; the records are written by themselves.
create table funding.refused_choice (
    id uuid not null constraint pk_refused_choice primary key,
    company uuid not null,
    store uuid,
    programme uuid not null,
    scene text not null,
    amount_fen bigint not null,
    code text not null,
    rule text not null,
    lines json not null,
    created_at timestamptz not null
);
create index ix_refused_choice_created_at on funding.refused_choice (created_at);
