create schema if not exists clearing;

CREATE TABLE clearing.payout_batch (
  id UUID NOT NULL,
  company UUID NOT NULL,
  day DATE NOT NULL,
  currency CHAR(3) NOT NULL,
  payouts INTEGER NOT NULL,
  amount_fen BIGINT NOT NULL,
  state TEXT NOT NULL,
  digest BYTEA,
  asked INTEGER NOT NULL,
  ask_at TIMESTAMP WITH TIME ZONE,
  approval UUID NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  sent_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_payout_batch PRIMARY KEY (id),
  CONSTRAINT ck_payout_batch_state CHECK (state in ('made', 'sent', 'answered')),
  CONSTRAINT ck_payout_batch_counts CHECK (payouts > 0 and amount_fen > 0 and asked >= 0),
  CONSTRAINT ck_payout_batch_asked CHECK ((state = 'answered') = (ask_at is null)),
  CONSTRAINT ck_payout_batch_sent CHECK ((digest is null) = (sent_at is null) and (state <> 'made' or sent_at is null)),
  CONSTRAINT uq_payout_batch_approval UNIQUE (approval)
);

CREATE INDEX payout_batch_due ON clearing.payout_batch (ask_at) WHERE ask_at IS NOT NULL;

CREATE TABLE clearing.returns_look (
  company UUID NOT NULL,
  day DATE NOT NULL,
  CONSTRAINT pk_returns_look PRIMARY KEY (company)
);

CREATE TABLE clearing.payout (
  id UUID NOT NULL,
  instruction UUID NOT NULL,
  attempt SMALLINT NOT NULL,
  batch UUID NOT NULL,
  payer UUID NOT NULL,
  payee_company UUID NOT NULL,
  payee_store UUID,
  account UUID NOT NULL,
  currency CHAR(3) NOT NULL,
  amount_fen BIGINT NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  paid_at TIMESTAMP WITH TIME ZONE,
  ended_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_payout PRIMARY KEY (id),
  CONSTRAINT uq_payout_instruction_attempt UNIQUE (instruction, attempt),
  CONSTRAINT ck_payout_state CHECK (state in ('ordered', 'paid', 'rejected', 'returned')),
  CONSTRAINT ck_payout_positive CHECK (amount_fen > 0 and attempt > 0),
  CONSTRAINT ck_payout_times CHECK ((state in ('rejected', 'returned')) = (ended_at is not null) and (state in ('paid', 'returned')) = (paid_at is not null)),
  CONSTRAINT fk_payout_instruction FOREIGN KEY(instruction) REFERENCES clearing.instruction (id),
  CONSTRAINT fk_payout_batch FOREIGN KEY(batch) REFERENCES clearing.payout_batch (id),
  CONSTRAINT fk_payout_account FOREIGN KEY(account) REFERENCES clearing.account (id)
);

CREATE INDEX ix_payout_batch ON clearing.payout (batch);

CREATE UNIQUE INDEX payout_once ON clearing.payout (instruction) WHERE state IN ('ordered', 'paid');
