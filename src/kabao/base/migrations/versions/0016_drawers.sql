alter table merchants.override drop constraint ck_override_verb;
alter table merchants.override add constraint ck_override_verb
    check (verb in ('typed_card', 'refund', 'void', 'topup_void', 'return', 'paid_out'));

create table merchants.drawer_entry (
    id uuid not null,
    shift uuid not null,
    kind text not null,
    amount_fen bigint not null,
    reason text,
    supervisor uuid,
    created_at timestamp with time zone not null,
    constraint pk_drawer_entry primary key (id),
    constraint fk_drawer_entry_shift foreign key (shift) references merchants.shift (id),
    constraint fk_drawer_entry_supervisor foreign key (supervisor) references merchants.cashier (id),
    constraint ck_drawer_entry_kind check (kind in ('float', 'paid_in', 'paid_out', 'drop', 'over', 'short')),
    constraint ck_drawer_entry_positive check (amount_fen > 0),
    constraint ck_drawer_entry_reason
        check ((kind in ('paid_in', 'paid_out', 'drop')) = (reason is not null))
);
create index ix_drawer_entry_shift on merchants.drawer_entry (shift);

create table merchants.drawer_count (
    shift uuid not null,
    no smallint not null,
    pieces json not null,
    amount_fen bigint not null,
    created_at timestamp with time zone not null,
    constraint pk_drawer_count primary key (shift, no),
    constraint fk_drawer_count_shift foreign key (shift) references merchants.shift (id),
    constraint ck_drawer_count_amounts check (no > 0 and amount_fen >= 0)
);

alter table tenders.tender add column rounding_fen bigint not null default '0';
alter table tenders.tender add constraint ck_tender_rounding
    check (rounding_fen >= 0 and (rounding_fen = 0 or kind = 'cash'));

create table tenders.cash_entry (
    id uuid not null,
    payment_order uuid not null,
    tender uuid not null,
    shift uuid,
    verb text not null,
    amount_fen bigint not null,
    created_at timestamp with time zone not null,
    constraint pk_cash_entry primary key (id),
    constraint ck_cash_entry_verb check (verb in ('order', 'order_refund')),
    constraint ck_cash_entry_positive check (amount_fen > 0)
);
create index ix_cash_entry_tender on tenders.cash_entry (tender);
create index ix_cash_entry_shift on tenders.cash_entry (shift) where shift is not null;

-- What was taken and given back before: of no shift, since those are counted already.
insert into tenders.cash_entry (id, payment_order, tender, verb, amount_fen, created_at)
select gen_random_uuid(), payment_order, id, 'order', approved_fen, created_at
from tenders.tender where kind = 'cash';
insert into tenders.cash_entry (id, payment_order, tender, verb, amount_fen, created_at)
select gen_random_uuid(), payment_order, id, 'order_refund',
    approved_fen - held_fen - captured_fen + refunded_fen, created_at
from tenders.tender where kind = 'cash' and approved_fen - held_fen - captured_fen + refunded_fen > 0;
insert into merchants.drawer_entry (id, shift, kind, amount_fen, created_at)
select gen_random_uuid(), shift,
    case when cash_declared_fen > cash_expected_fen then 'over' else 'short' end,
    abs(cash_declared_fen - cash_expected_fen), created_at
from merchants.z_report where cash_declared_fen <> cash_expected_fen;

create trigger drawer_entry_stays before update or delete on merchants.drawer_entry
  for each row execute function merchants.refuse_change();
create trigger drawer_count_stays before update or delete on merchants.drawer_count
  for each row execute function merchants.refuse_change();
