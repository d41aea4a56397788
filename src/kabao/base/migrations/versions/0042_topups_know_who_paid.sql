-- Keyed: it finds the payments of one payer and names nobody.
alter table topups.topup add column paid_by bytea;
create index ix_topup_paid_by_day on topups.topup (paid_by, business_date)
where paid_by is not null;
