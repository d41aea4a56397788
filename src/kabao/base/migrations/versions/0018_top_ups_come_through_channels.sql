CREATE TABLE topups.bonus_rule (
  id UUID NOT NULL,
  programme UUID NOT NULL,
  name TEXT NOT NULL,
  from_fen BIGINT NOT NULL,
  give_fen BIGINT,
  give_bp INTEGER,
  topup_max_fen BIGINT,
  card_max_fen BIGINT,
  period TEXT NOT NULL,
  starts_on DATE NOT NULL,
  ends_on DATE NOT NULL,
  budget_fen BIGINT NOT NULL,
  state TEXT NOT NULL,
  used_fen BIGINT NOT NULL,
  approval UUID NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  ended_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_bonus_rule PRIMARY KEY (id),
  CONSTRAINT ck_bonus_rule_budget CHECK (used_fen between 0 and budget_fen),
  CONSTRAINT ck_bonus_rule_gives CHECK ((give_fen is null) <> (give_bp is null)),
  CONSTRAINT ck_bonus_rule_lives CHECK (starts_on <= ends_on),
  CONSTRAINT ck_bonus_rule_state CHECK (state in ('running', 'ended')),
  CONSTRAINT ck_bonus_rule_period CHECK (period in ('day', 'month', 'campaign')),
  CONSTRAINT uq_bonus_rule_approval UNIQUE (approval)
);
CREATE INDEX ix_bonus_rule_programme ON topups.bonus_rule (programme);
CREATE TABLE topups.bonus_grant (
  topup UUID NOT NULL,
  rule UUID NOT NULL,
  root UUID NOT NULL,
  amount_fen BIGINT NOT NULL,
  back_fen BIGINT NOT NULL,
  business_date DATE NOT NULL,
  CONSTRAINT pk_bonus_grant PRIMARY KEY (topup),
  CONSTRAINT ck_bonus_grant_amounts CHECK (amount_fen > 0 and back_fen between 0 and amount_fen),
  CONSTRAINT fk_bonus_grant_rule FOREIGN KEY(rule) REFERENCES topups.bonus_rule (id)
);
CREATE INDEX ix_bonus_grant_rule_root ON topups.bonus_grant (rule, root);
CREATE TABLE topups.refund (
  id UUID NOT NULL,
  topup UUID NOT NULL,
  root UUID NOT NULL,
  amount_fen BIGINT NOT NULL,
  kept_fen BIGINT NOT NULL,
  clawed_fen BIGINT NOT NULL,
  state TEXT NOT NULL,
  fault TEXT NOT NULL,
  reason TEXT NOT NULL,
  funding UUID,
  refusal TEXT,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  done_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_refund PRIMARY KEY (id),
  CONSTRAINT ck_refund_amounts CHECK (amount_fen > 0 and kept_fen >= 0 and clawed_fen >= 0),
  CONSTRAINT ck_refund_state CHECK (state in ('pending', 'done', 'refused')),
  CONSTRAINT ck_refund_fault CHECK (fault in ('payer', 'issuer')),
  CONSTRAINT fk_refund_topup FOREIGN KEY(topup) REFERENCES topups.topup (id),
  CONSTRAINT uq_refund_funding UNIQUE (funding)
);
CREATE INDEX ix_refund_topup ON topups.refund (topup);
CREATE TABLE topups.recall (
  id UUID NOT NULL,
  topup UUID NOT NULL,
  root UUID NOT NULL,
  amount_fen BIGINT NOT NULL,
  frozen_fen BIGINT NOT NULL,
  frozen_bonus_fen BIGINT NOT NULL,
  owed_fen BIGINT NOT NULL,
  state TEXT NOT NULL,
  settled_by UUID,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  settled_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_recall PRIMARY KEY (id),
  CONSTRAINT ck_recall_amounts CHECK (frozen_fen >= 0 and frozen_bonus_fen >= 0 and owed_fen >= 0 and frozen_fen + owed_fen = amount_fen),
  CONSTRAINT ck_recall_state CHECK (state in ('open', 'lost', 'won')),
  CONSTRAINT fk_recall_topup FOREIGN KEY(topup) REFERENCES topups.topup (id)
);
CREATE INDEX ix_recall_topup ON topups.recall (topup);
ALTER TABLE topups.topup
  ALTER COLUMN store DROP NOT NULL,
  ADD COLUMN issuer UUID,
  ADD COLUMN payer UUID,
  ADD COLUMN scene TEXT,
  ADD COLUMN collection UUID,
  ADD COLUMN bonus_fen BIGINT DEFAULT '0' NOT NULL,
  ADD COLUMN refunded_fen BIGINT DEFAULT '0' NOT NULL,
  ADD COLUMN kept_fen BIGINT DEFAULT '0' NOT NULL,
  ADD COLUMN clawed_fen BIGINT DEFAULT '0' NOT NULL,
  ADD COLUMN failure TEXT,
  ADD COLUMN rule TEXT,
  ADD COLUMN confirmed_at TIMESTAMP WITH TIME ZONE,
  DROP CONSTRAINT ck_topup_status,
  ADD CONSTRAINT ck_topup_back CHECK (bonus_fen >= 0 and refunded_fen >= 0 and kept_fen >= 0 and clawed_fen >= 0 and refunded_fen + kept_fen <= amount_fen and clawed_fen + kept_fen <= bonus_fen),
  ADD CONSTRAINT ck_topup_cash_has_a_store CHECK (store is not null or collection is not null),
  ADD CONSTRAINT ck_topup_status CHECK (status in ('pending', 'confirmed', 'failed', 'expired', 'refunding', 'refunded', 'recalled', 'voided')),
  ADD CONSTRAINT uq_topup_collection UNIQUE (collection);
CREATE INDEX ix_topup_payer_day ON topups.topup (payer, business_date) WHERE payer is not null;
CREATE INDEX ix_topup_root_day ON topups.topup (root, business_date);
