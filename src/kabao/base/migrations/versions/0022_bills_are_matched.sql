create table funding.bill (
  channel uuid not null,
  day date not null,
  state text not null,
  ask_at timestamp with time zone,
  asked integer not null,
  lines integer not null,
  differences integer not null,
  reason text,
  constraint pk_bill primary key (channel, day),
  constraint fk_bill_channel foreign key (channel) references funding.channel (id),
  constraint ck_bill_state check (state in ('waiting', 'matched'))
);
create index ix_bill_ask_at on funding.bill (ask_at) where ask_at is not null;
create index ix_channel_order_channel_no on funding.channel_order (channel, channel_no)
  where channel_no is not null;
create index ix_channel_order_paid_at on funding.channel_order (channel, paid_at)
  where paid_at is not null;
