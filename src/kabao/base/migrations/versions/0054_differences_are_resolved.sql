alter table pos.difference add column approval uuid;

alter table pos.difference add column correction uuid;

alter table pos.difference add column resolved_at timestamptz;

alter table pos.difference add constraint ck_difference_resolved_when
  check ((approval is null) = (resolved_at is null));

alter table pos.difference add constraint ck_difference_corrected
  check (correction is null or approval is not null);
