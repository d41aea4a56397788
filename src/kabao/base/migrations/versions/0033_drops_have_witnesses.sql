-- Cash goes into the safe before another cashier's eyes.
alter table merchants.override drop constraint ck_override_verb;
alter table merchants.override add constraint ck_override_verb check
    (verb in ('typed_card', 'refund', 'void', 'topup_void', 'return', 'paid_out', 'drop'));
