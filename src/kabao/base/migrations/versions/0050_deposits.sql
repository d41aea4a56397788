create schema if not exists clearing;

CREATE TABLE clearing.deposit (
  id UUID NOT NULL,
  reference CHAR(12) NOT NULL,
  company UUID NOT NULL,
  store UUID NOT NULL,
  currency CHAR(3) NOT NULL,
  day DATE NOT NULL,
  declared_fen BIGINT NOT NULL,
  expected_fen BIGINT NOT NULL,
  received_fen BIGINT,
  receipt TEXT,
  state TEXT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  received_at TIMESTAMP WITH TIME ZONE,
  told_late BOOLEAN DEFAULT false NOT NULL,
  CONSTRAINT pk_deposit PRIMARY KEY (id),
  CONSTRAINT ck_deposit_positive CHECK (declared_fen > 0 and received_fen > 0),
  CONSTRAINT ck_deposit_state CHECK (state in ('handed_over', 'matched', 'differs', 'settled') and (state = 'handed_over') = (received_fen is null) and (state <> 'matched' or received_fen = expected_fen)),
  CONSTRAINT ck_deposit_received CHECK ((received_fen is null) = (receipt is null) and (received_fen is null) = (received_at is null)),
  CONSTRAINT uq_deposit_reference UNIQUE (reference)
);

CREATE INDEX deposit_under_way ON clearing.deposit (day) WHERE state = 'handed_over';

CREATE TABLE clearing.deposit_shift (
  shift UUID NOT NULL,
  deposit UUID NOT NULL,
  cash_fen BIGINT NOT NULL,
  CONSTRAINT pk_deposit_shift PRIMARY KEY (shift),
  CONSTRAINT fk_deposit_shift_deposit FOREIGN KEY(deposit) REFERENCES clearing.deposit (id)
);

CREATE INDEX ix_deposit_shift_deposit ON clearing.deposit_shift (deposit);
