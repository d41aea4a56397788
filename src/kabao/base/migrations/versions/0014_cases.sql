create schema cases;

create table cases."case" (
    id uuid not null,
    kind text not null,
    key text not null,
    subject text not null,
    company uuid not null,
    store uuid,
    facts json not null,
    state text not null,
    occurrences integer not null,
    opened_at timestamp with time zone not null,
    last_at timestamp with time zone not null,
    due_at timestamp with time zone not null,
    taken_by uuid,
    taken_name text,
    taken_at timestamp with time zone,
    resolved_by uuid,
    resolved_name text,
    resolved_at timestamp with time zone,
    outcome text,
    constraint pk_case primary key (id),
    constraint uq_case_kind_key unique (kind, key),
    constraint ck_case_state check (state in ('open', 'taken', 'resolved')),
    constraint ck_case_occurred check (occurrences > 0),
    constraint ck_case_taken check ((taken_by is null) = (taken_at is null) and (taken_by is null) = (taken_name is null) and (taken_at is not null or state = 'open')),
    constraint ck_case_resolved check ((resolved_at is not null) = (state = 'resolved') and (resolved_by is null) = (resolved_at is null) and (resolved_name is null) = (resolved_at is null) and (outcome is null) = (resolved_at is null))
);
create index ix_case_subject on cases."case" (subject);
create index ix_case_unresolved on cases."case" (due_at) where state in ('open', 'taken');

create table cases.note (
    "case" uuid not null,
    n integer not null,
    by uuid not null,
    name text not null,
    text text not null,
    at timestamp with time zone not null,
    constraint pk_note primary key ("case", n),
    constraint ck_note_counted check (n > 0)
);
