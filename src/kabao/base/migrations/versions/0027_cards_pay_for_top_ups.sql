ALTER TABLE topups.topup
  ADD COLUMN paid_from UUID,
  DROP CONSTRAINT ck_topup_cash_has_a_store,
  ADD CONSTRAINT ck_topup_cash_has_a_store
    CHECK (store is not null or collection is not null or paid_from is not null);
