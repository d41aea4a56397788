alter table clearing.payout_batch add column channel uuid;

alter table clearing.payout_batch drop constraint ck_payout_batch_sent;

alter table clearing.payout_batch add constraint ck_payout_batch_sent
  check ((digest is null) = (sent_at is null) and (channel is null) = (sent_at is null) and (state <> 'made' or sent_at is null));

alter table clearing.deposit add column channel uuid;

alter table clearing.deposit drop constraint ck_deposit_received;

alter table clearing.deposit add constraint ck_deposit_received
  check ((received_fen is null) = (receipt is null) and (received_fen is null) = (received_at is null) and (received_fen is null) = (channel is null));

drop table clearing.returns_look;

create table clearing.returns_look (
  channel uuid not null,
  day date not null,
  constraint pk_returns_look primary key (channel)
);
