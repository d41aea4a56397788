-- Windows, settlements and netting runs; days, their parts, rules and workdays.

CREATE TABLE clearing."window" (
  id UUID NOT NULL,
  no BIGINT NOT NULL,
  day DATE NOT NULL,
  from_cut JSONB,
  to_cut JSONB NOT NULL,
  until TIMESTAMP WITH TIME ZONE NOT NULL,
  state TEXT NOT NULL,
  inputs_digest BYTEA,
  result_digest BYTEA,
  cut_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_window PRIMARY KEY (id),
  CONSTRAINT ck_window_state CHECK (state in ('cut', 'figured')),
  CONSTRAINT ck_window_figured_has_digests CHECK ((state = 'figured') = (inputs_digest is not null and result_digest is not null)),
  CONSTRAINT uq_window_no UNIQUE (no),
  CONSTRAINT uq_window_day UNIQUE (day)
);

CREATE TABLE clearing.settlement (
  id UUID NOT NULL,
  "window" UUID NOT NULL,
  day DATE NOT NULL,
  issuer UUID NOT NULL,
  store UUID NOT NULL,
  company UUID NOT NULL,
  currency CHAR(3) NOT NULL,
  redeemed_fen BIGINT NOT NULL,
  given_back_fen BIGINT NOT NULL,
  fee_fen BIGINT NOT NULL,
  fee_returned_fen BIGINT NOT NULL,
  cash_fen BIGINT NOT NULL,
  amount_fen BIGINT NOT NULL,
  transfers BIGINT NOT NULL,
  state TEXT NOT NULL,
  run UUID,
  due_on DATE,
  CONSTRAINT pk_settlement PRIMARY KEY (id),
  CONSTRAINT ck_settlement_state CHECK (state in ('provisional', 'kept_out', 'due')),
  CONSTRAINT ck_settlement_due CHECK ((state = 'due') = (run is not null and due_on is not null)),
  CONSTRAINT ck_settlement_adds_up CHECK (amount_fen = redeemed_fen - given_back_fen - fee_fen + fee_returned_fen - cash_fen),
  CONSTRAINT ck_settlement_never_negative CHECK (redeemed_fen >= 0 and given_back_fen >= 0 and fee_fen >= 0 and fee_returned_fen >= 0),
  CONSTRAINT uq_settlement_window_issuer_store_currency UNIQUE ("window", issuer, store, currency),
  CONSTRAINT fk_settlement_window FOREIGN KEY("window") REFERENCES clearing."window" (id)
);

CREATE INDEX ix_settlement_day ON clearing.settlement (day, id);

CREATE INDEX ix_settlement_run ON clearing.settlement (run);

CREATE INDEX ix_settlement_store ON clearing.settlement (store, day);

CREATE TABLE clearing.run (
  id UUID NOT NULL,
  "window" UUID NOT NULL,
  no INTEGER NOT NULL,
  inputs BYTEA NOT NULL,
  inputs_digest BYTEA NOT NULL,
  result BYTEA NOT NULL,
  result_digest BYTEA NOT NULL,
  operation_company UUID,
  run_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_run PRIMARY KEY (id),
  CONSTRAINT ck_run_numbered CHECK (no >= 0),
  CONSTRAINT uq_run_window_no UNIQUE ("window", no),
  CONSTRAINT fk_run_window FOREIGN KEY("window") REFERENCES clearing."window" (id)
);

CREATE TABLE clearing.instruction (
  id UUID NOT NULL,
  run UUID NOT NULL,
  "window" UUID NOT NULL,
  payer_company UUID NOT NULL,
  payee_store UUID,
  payee_company UUID NOT NULL,
  currency CHAR(3) NOT NULL,
  amount_fen BIGINT NOT NULL,
  due_on DATE NOT NULL,
  state TEXT NOT NULL,
  settlement_ids UUID[] NOT NULL,
  CONSTRAINT pk_instruction PRIMARY KEY (id),
  CONSTRAINT ck_instruction_positive CHECK (amount_fen > 0),
  CONSTRAINT ck_instruction_state CHECK (state in ('due', 'released', 'sent', 'paid', 'returned', 'carried')),
  CONSTRAINT fk_instruction_run FOREIGN KEY(run) REFERENCES clearing.run (id)
);

CREATE INDEX ix_instruction_open ON clearing.instruction (due_on) WHERE state in ('due', 'released', 'sent', 'returned');

CREATE INDEX ix_instruction_run ON clearing.instruction (run);

CREATE TABLE clearing.carry (
  id UUID NOT NULL,
  debtor UUID NOT NULL,
  owner UUID NOT NULL,
  company UUID NOT NULL,
  currency CHAR(3) NOT NULL,
  amount_fen BIGINT NOT NULL,
  reason TEXT NOT NULL,
  for_date DATE NOT NULL,
  from_run UUID,
  into_run UUID,
  noted_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_carry PRIMARY KEY (id),
  CONSTRAINT ck_carry_something CHECK (amount_fen <> 0),
  CONSTRAINT ck_carry_reason CHECK (reason in ('minimum', 'negative', 'adjustment'))
);

CREATE INDEX ix_carry_from ON clearing.carry (from_run);

CREATE INDEX ix_carry_into ON clearing.carry (into_run);

CREATE INDEX ix_carry_open ON clearing.carry (id) WHERE into_run is null;

CREATE TABLE clearing.day (
  business_date DATE NOT NULL,
  state TEXT NOT NULL,
  soft_closed_at TIMESTAMP WITH TIME ZONE NOT NULL,
  hard_closed_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_day PRIMARY KEY (business_date),
  CONSTRAINT ck_day_state CHECK (state in ('soft_closed', 'hard_closed')),
  CONSTRAINT ck_day_hard CHECK ((state = 'hard_closed') = (hard_closed_at is not null))
);

CREATE TABLE clearing.part (
  business_date DATE NOT NULL,
  source TEXT NOT NULL,
  subject TEXT NOT NULL,
  reason TEXT NOT NULL,
  breaks BIGINT NOT NULL,
  kept_out_at TIMESTAMP WITH TIME ZONE NOT NULL,
  closed_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_part PRIMARY KEY (business_date, source, subject)
);

CREATE TABLE clearing.rule (
  id UUID NOT NULL,
  company UUID,
  version INTEGER NOT NULL,
  effective_from DATE NOT NULL,
  terms JSONB NOT NULL,
  digest BYTEA NOT NULL,
  reason TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_rule PRIMARY KEY (id),
  CONSTRAINT uq_rule_company_version UNIQUE NULLS NOT DISTINCT (company, version)
);

CREATE TABLE clearing.workday_override (
  day DATE NOT NULL,
  workday BOOLEAN NOT NULL,
  reason TEXT NOT NULL,
  said_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_workday_override PRIMARY KEY (day)
);

CREATE TABLE clearing.workday_year (
  year SMALLSERIAL NOT NULL,
  said_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_workday_year PRIMARY KEY (year)
);
