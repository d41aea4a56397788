create schema risk;

create table risk.emptied (
  store uuid not null,
  root uuid not null,
  payment uuid not null,
  amount_fen bigint not null,
  at timestamp with time zone not null,
  until timestamp with time zone not null,
  constraint pk_emptied primary key (store, root)
);
create index ix_emptied_until on risk.emptied (until);

create table risk.load (
  topup uuid not null,
  root uuid not null,
  amount_fen bigint not null,
  before_fen bigint not null,
  at timestamp with time zone not null,
  until timestamp with time zone not null,
  constraint pk_load primary key (topup)
);
create index ix_load_root on risk.load (root);
create index ix_load_until on risk.load (until);

create table risk.alarm (
  store uuid not null,
  first uuid not null,
  at timestamp with time zone not null,
  until timestamp with time zone not null,
  constraint pk_alarm primary key (store)
);
create index ix_alarm_until on risk.alarm (until);

-- The watch begins now: what happened years ago opens no case.
insert into base.outbox_reader (name, xid, n)
select 'risk', xid, n from base.outbox order by xid desc, n desc limit 1;
