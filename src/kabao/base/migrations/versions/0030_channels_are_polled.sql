alter table funding.channel_order add column asked_at timestamp with time zone;
