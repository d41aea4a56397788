alter table reconciliation.break drop constraint ck_break_state;

alter table reconciliation.break add constraint ck_break_state
    check (state in ('open', 'cleared', 'suspended', 'corrected'));
