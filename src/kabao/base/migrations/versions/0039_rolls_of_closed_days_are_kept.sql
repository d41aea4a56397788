-- What each closed day came to, and the digest of the figures it was read from.
create schema reports;

create table reports.roll (
  business_date date not null,
  rolls jsonb not null,
  digest bytea not null,
  kept_at timestamp with time zone not null,
  constraint pk_roll primary key (business_date)
);
