create table merchants.terminal_key (
    id uuid not null constraint pk_terminal_key primary key,
    terminal uuid not null
        constraint fk_terminal_key_terminal references merchants.terminal (id),
    version integer not null constraint ck_terminal_key_version check (version > 0),
    algorithm text not null constraint ck_terminal_key_algorithm
        check (algorithm in ('3des', 'sm4')),
    state text not null constraint ck_terminal_key_state
        check (state in ('half', 'active', 'ended')),
    check_value char(8) not null,
    component bytea,
    tmk bytea,
    first_by uuid not null,
    second_by uuid,
    created_at timestamptz not null,
    activated_at timestamptz,
    ended_at timestamptz,
    revision bigint not null,
    constraint uq_terminal_key_terminal_version unique (terminal, version),
    constraint ck_terminal_key_component check ((state = 'half') = (component is not null)),
    constraint ck_terminal_key_tmk check ((state = 'active') = (tmk is not null)),
    constraint ck_terminal_key_two_persons check (second_by <> first_by),
    constraint ck_terminal_key_whole_by_two check (
        (second_by is null) = (activated_at is null)
        and (state <> 'active' or second_by is not null)),
    constraint ck_terminal_key_ended_at check ((state = 'ended') = (ended_at is not null))
);
create index ix_terminal_key_revision on merchants.terminal_key (revision);
create unique index uq_terminal_key_half on merchants.terminal_key (terminal)
    where state = 'half';
create unique index uq_terminal_key_active on merchants.terminal_key (terminal)
    where state = 'active';
