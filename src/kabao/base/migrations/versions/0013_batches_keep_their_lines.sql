alter table pos.batch add column lines text not null default '[]';
alter table pos.batch alter column lines drop default;
alter table pos.batch add column checked_at timestamp with time zone;
-- What was settled before is not known message by message, and cannot be looked at again.
update pos.batch set checked_at = settled_at where settled_at is not null;
create index ix_batch_unchecked on pos.batch (settled_at) where settled_at is not null and checked_at is null;
alter table pos.difference add column direction smallint not null default 0;
alter table pos.difference alter column direction drop default;
alter table pos.difference drop constraint pk_difference;
alter table pos.difference add constraint pk_difference primary key (terminal, batch, trace, direction, kind);
