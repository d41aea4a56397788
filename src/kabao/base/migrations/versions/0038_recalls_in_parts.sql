-- What a recall froze, lot by lot. Those of before have frozen their own card's only.
create table topups.recall_part (
    id uuid not null constraint pk_recall_part primary key,
    recall uuid not null constraint fk_recall_part_recall references topups.recall (id),
    root uuid not null,
    lot uuid not null,
    frozen_fen bigint not null,
    frozen_bonus_fen bigint not null,
    constraint ck_recall_part_amounts
        check (frozen_fen >= 0 and frozen_bonus_fen >= 0 and frozen_fen + frozen_bonus_fen > 0)
);
create index ix_recall_part_recall on topups.recall_part (recall);
insert into topups.recall_part (id, recall, root, lot, frozen_fen, frozen_bonus_fen)
select id, id, root, topup, frozen_fen, frozen_bonus_fen from topups.recall
where frozen_fen + frozen_bonus_fen > 0;
