create schema if not exists clearing;

CREATE TABLE clearing.account (
  id UUID NOT NULL,
  company UUID NOT NULL,
  store UUID,
  currency CHAR(3) NOT NULL,
  holder BYTEA NOT NULL,
  number_index BYTEA NOT NULL,
  bank CHAR(12) NOT NULL,
  last_digits CHAR(4) NOT NULL,
  state TEXT NOT NULL,
  reason TEXT,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_account PRIMARY KEY (id),
  CONSTRAINT ck_account_state CHECK (state in ('proposed', 'active', 'replaced', 'broken')),
  CONSTRAINT ck_account_broken CHECK ((state = 'broken') = (reason is not null))
);

CREATE UNIQUE INDEX account_active ON clearing.account (coalesce(store, company), currency) WHERE state = 'active';

CREATE INDEX ix_account_number_index ON clearing.account (number_index);
