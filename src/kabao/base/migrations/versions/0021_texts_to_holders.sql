create table notices.template (
    id uuid not null,
    programme uuid not null,
    company uuid not null,
    event_type text not null,
    text_zh text not null,
    text_en text not null,
    language text not null,
    purpose text not null,
    created_at timestamp with time zone not null,
    retired_at timestamp with time zone,
    constraint pk_template primary key (id),
    constraint ck_template_language check (language in ('zh', 'en', 'both')),
    constraint ck_template_purpose check (purpose in ('service', 'marketing'))
);
create unique index uq_template_living on notices.template (programme, event_type) where retired_at is null;

create table notices.text (
    id uuid not null,
    template uuid not null,
    event text not null,
    card uuid not null,
    data json not null,
    occurred_at timestamp with time zone not null,
    state text not null,
    reason text,
    attempts integer not null,
    next_at timestamp with time zone not null,
    created_at timestamp with time zone not null,
    ended_at timestamp with time zone,
    constraint pk_text primary key (id),
    constraint uq_text_template_event unique (template, event),
    constraint ck_text_state check (state in ('waiting', 'sent', 'dropped', 'refused', 'unknown') and (state = 'waiting') = (ended_at is null)),
    constraint ck_text_attempts check (attempts >= 0)
);
create index ix_text_card on notices.text (card);
create index ix_text_created_at on notices.text (created_at);
create index ix_text_waiting on notices.text (next_at) where state = 'waiting';
