alter table merchants.drawer_entry drop constraint ck_drawer_entry_kind;
alter table merchants.drawer_entry add constraint ck_drawer_entry_kind
    check (kind in ('float', 'paid_in', 'paid_out', 'drop', 'slip', 'slip_undone', 'over', 'short'));
alter table merchants.drawer_entry drop constraint ck_drawer_entry_reason;
alter table merchants.drawer_entry add constraint ck_drawer_entry_reason
    check ((kind in ('float', 'over', 'short')) = (reason is null));
create unique index uq_drawer_entry_slip on merchants.drawer_entry (kind, reason)
    where kind in ('slip', 'slip_undone');
