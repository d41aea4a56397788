alter table clearing.deposit_shift add column company uuid;

update clearing.deposit_shift as s set company = d.company
  from clearing.deposit as d where d.id = s.deposit;

alter table clearing.deposit_shift alter column company set not null;

alter table clearing.deposit_shift drop constraint pk_deposit_shift;

alter table clearing.deposit_shift add constraint pk_deposit_shift primary key (shift, company);
