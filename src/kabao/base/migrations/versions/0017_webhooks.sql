create schema notices;

create table notices.delivery (
    id uuid not null,
    endpoint uuid not null,
    lane uuid not null,
    no bigint generated always as identity,
    event text not null,
    type text not null,
    body text not null,
    state text not null,
    attempts integer not null,
    last_status integer,
    last_error text,
    last_at timestamp with time zone,
    created_at timestamp with time zone not null,
    delivered_at timestamp with time zone,
    constraint pk_delivery primary key (id),
    constraint uq_delivery_endpoint_event unique (endpoint, event),
    constraint ck_delivery_state check (state in ('waiting', 'delivered', 'dead')),
    constraint ck_delivery_delivered check ((state = 'delivered') = (delivered_at is not null)),
    constraint ck_delivery_attempts check (attempts >= 0)
);
create index ix_delivery_created_at on notices.delivery (created_at);
create index ix_delivery_waiting on notices.delivery (endpoint, lane, no) where state = 'waiting';

create table notices.endpoint (
    id uuid not null,
    company uuid not null,
    companies uuid[],
    stores uuid[],
    url text not null,
    description text not null,
    types text[],
    state text not null,
    paused_for text,
    secret bytea not null,
    old_secret bytea,
    old_until timestamp with time zone,
    failures integer not null,
    failing_since timestamp with time zone,
    resting_until timestamp with time zone,
    overfull boolean not null,
    missed_from timestamp with time zone,
    created_at timestamp with time zone not null,
    constraint pk_endpoint primary key (id),
    constraint ck_endpoint_state check (state in ('active', 'paused')),
    constraint ck_endpoint_paused_for check ((state = 'paused') = (paused_for is not null) and (paused_for is null or paused_for in ('by_hand', 'failing', 'gone'))),
    constraint ck_endpoint_old_secret check ((old_secret is null) = (old_until is null)),
    constraint ck_endpoint_failures check (failures >= 0 and (failures = 0) = (failing_since is null))
);
create index ix_endpoint_company on notices.endpoint (company);

create table notices.lane (
    endpoint uuid not null,
    lane uuid not null,
    pending integer not null,
    next_at timestamp with time zone not null,
    lease uuid,
    leased_until timestamp with time zone,
    constraint pk_lane primary key (endpoint, lane),
    constraint ck_lane_counted check (pending >= 0),
    constraint ck_lane_lease check ((lease is null) = (leased_until is null))
);
create index ix_lane_due on notices.lane (endpoint, next_at);
