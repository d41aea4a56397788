create index ix_batch_asked_at on pos.batch (asked_at, terminal, batch);
create index ix_batch_store on pos.batch (store, asked_at);
