alter table clearing.payout_batch add column heard_at timestamptz;

update clearing.payout_batch set heard_at = sent_at where sent_at is not null;
