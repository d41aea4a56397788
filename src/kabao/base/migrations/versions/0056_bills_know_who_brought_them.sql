alter table reconciliation.run add column brought_by text;

alter table reconciliation.break add column cleared_by uuid;

alter table reconciliation.break add constraint ck_break_cleared_by
  check (cleared_by is null or state = 'cleared');

create index ix_break_cleared_by on reconciliation.break (cleared_by) where cleared_by is not null;
