alter table reconciliation.line add column original_no text collate "C" not null default '';
