alter table funding.refund drop constraint ck_refund_state;
alter table funding.refund add constraint ck_refund_state check (state in ('unknown', 'done', 'refused', 'returned'));
