alter table reconciliation.run add column received_fen bigint;

alter table reconciliation.run add constraint ck_run_received check (received_fen >= 0);
