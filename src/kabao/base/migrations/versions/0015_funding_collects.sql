create schema if not exists funding;
CREATE TABLE funding.channel (
  id UUID NOT NULL,
  company UUID NOT NULL,
  name TEXT NOT NULL,
  kind TEXT NOT NULL,
  scenes TEXT[] NOT NULL,
  purposes TEXT[] NOT NULL,
  fee_ppm INTEGER NOT NULL,
  fee_min_fen BIGINT NOT NULL,
  fee_max_fen BIGINT,
  cycle TEXT NOT NULL,
  min_fen BIGINT NOT NULL,
  max_fen BIGINT,
  daily_fen BIGINT,
  priority INTEGER NOT NULL,
  state TEXT NOT NULL,
  account BYTEA NOT NULL,
  revision BIGINT NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_channel PRIMARY KEY (id),
  CONSTRAINT uq_channel_company_name UNIQUE (company, name),
  CONSTRAINT ck_channel_state CHECK (state in ('active', 'paused')),
  CONSTRAINT ck_channel_cycle CHECK (cycle in ('T+0', 'T+1', 'D+3')),
  CONSTRAINT ck_channel_scenes CHECK (cardinality(scenes) > 0),
  CONSTRAINT ck_channel_fee CHECK (fee_ppm between 0 and 1000000 and fee_min_fen >= 0 and fee_max_fen >= fee_min_fen),
  CONSTRAINT ck_channel_limits CHECK (min_fen > 0 and max_fen >= min_fen and daily_fen >= 0)
);
CREATE INDEX ix_channel_revision ON funding.channel (revision);
CREATE TABLE funding.collection (
  id UUID NOT NULL,
  purpose TEXT NOT NULL,
  subject TEXT NOT NULL,
  company UUID NOT NULL,
  store UUID,
  terminal UUID,
  programme UUID NOT NULL,
  scene TEXT NOT NULL,
  amount_fen BIGINT NOT NULL,
  currency CHAR(3) NOT NULL,
  payer_ref UUID,
  no_credit BOOLEAN NOT NULL,
  channel TEXT,
  return_url TEXT,
  face_to_face BOOLEAN NOT NULL,
  by_unit BOOLEAN NOT NULL,
  title TEXT NOT NULL,
  state TEXT NOT NULL,
  current UUID NOT NULL,
  wanted BOOLEAN NOT NULL,
  settled BOOLEAN NOT NULL,
  code TEXT,
  rule TEXT,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  business_date DATE NOT NULL,
  CONSTRAINT pk_collection PRIMARY KEY (id),
  CONSTRAINT ck_collection_positive CHECK (amount_fen > 0),
  CONSTRAINT ck_collection_state CHECK (state in ('created', 'pending', 'confirmed', 'reconciled', 'failed', 'expired', 'refunding', 'refunded', 'unknown')),
  CONSTRAINT ck_collection_lives CHECK (expires_at > created_at)
);
CREATE INDEX ix_collection_subject ON funding.collection (subject);
CREATE TABLE funding.nonce (
  channel UUID NOT NULL,
  nonce TEXT NOT NULL,
  taken_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_nonce PRIMARY KEY (channel, nonce)
);
CREATE INDEX ix_nonce_taken_at ON funding.nonce (taken_at);
CREATE TABLE funding.notice_count (
  channel UUID NOT NULL,
  day DATE NOT NULL,
  said TEXT NOT NULL,
  times BIGINT NOT NULL,
  last_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_notice_count PRIMARY KEY (channel, day, said)
);
CREATE TABLE funding.revision (
  id SMALLSERIAL NOT NULL,
  revision BIGINT NOT NULL,
  CONSTRAINT pk_revision PRIMARY KEY (id),
  CONSTRAINT ck_revision_one CHECK (id = 1)
);
CREATE TABLE funding.channel_order (
  id UUID NOT NULL,
  collection UUID NOT NULL,
  no INTEGER NOT NULL,
  channel UUID NOT NULL,
  state TEXT NOT NULL,
  channel_no TEXT,
  paid_at TIMESTAMP WITH TIME ZONE,
  funds TEXT NOT NULL,
  payer BYTEA,
  begun_at TIMESTAMP WITH TIME ZONE,
  ask_at TIMESTAMP WITH TIME ZONE,
  asked INTEGER NOT NULL,
  shown TEXT,
  reference TEXT,
  refusal TEXT,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_channel_order PRIMARY KEY (id),
  CONSTRAINT uq_channel_order_collection_no UNIQUE (collection, no),
  CONSTRAINT ck_channel_order_state CHECK (state in ('created', 'pending', 'confirmed', 'reconciled', 'failed', 'expired', 'refunding', 'refunded', 'unknown')),
  CONSTRAINT ck_channel_order_counts CHECK (no > 0 and asked >= 0),
  CONSTRAINT ck_channel_order_paid CHECK (state not in ('confirmed', 'reconciled') or channel_no is not null),
  CONSTRAINT fk_channel_order_collection FOREIGN KEY(collection) REFERENCES funding.collection (id),
  CONSTRAINT fk_channel_order_channel FOREIGN KEY(channel) REFERENCES funding.channel (id)
);
CREATE INDEX ix_channel_order_ask_at ON funding.channel_order (ask_at) WHERE ask_at is not null;
CREATE INDEX ix_channel_order_reference ON funding.channel_order (channel, reference) WHERE reference is not null;
CREATE TABLE funding.receipt (
  id UUID NOT NULL,
  channel UUID NOT NULL,
  no TEXT NOT NULL,
  amount_fen BIGINT NOT NULL,
  received_at TIMESTAMP WITH TIME ZONE NOT NULL,
  reference TEXT NOT NULL,
  payer BYTEA,
  channel_order UUID,
  nobodys TEXT,
  seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_receipt PRIMARY KEY (id),
  CONSTRAINT uq_receipt_channel_no UNIQUE (channel, no),
  CONSTRAINT ck_receipt_positive CHECK (amount_fen > 0),
  CONSTRAINT ck_receipt_whose CHECK ((channel_order is null) = (nobodys is not null)),
  CONSTRAINT fk_receipt_channel FOREIGN KEY(channel) REFERENCES funding.channel (id)
);
CREATE TABLE funding.refund (
  id UUID NOT NULL,
  collection UUID NOT NULL,
  channel_order UUID NOT NULL,
  back TEXT NOT NULL,
  amount_fen BIGINT NOT NULL,
  channel_no TEXT NOT NULL,
  state TEXT NOT NULL,
  key TEXT NOT NULL,
  reason TEXT NOT NULL,
  refusal TEXT,
  sent_at TIMESTAMP WITH TIME ZONE,
  ask_at TIMESTAMP WITH TIME ZONE,
  asked INTEGER NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  done_at TIMESTAMP WITH TIME ZONE,
  CONSTRAINT pk_refund PRIMARY KEY (id),
  CONSTRAINT uq_refund_collection_key UNIQUE (collection, key),
  CONSTRAINT ck_refund_positive CHECK (amount_fen > 0),
  CONSTRAINT ck_refund_back CHECK (back in ('asked', 'late', 'second', 'recalled')),
  CONSTRAINT ck_refund_state CHECK (state in ('unknown', 'done', 'refused')),
  CONSTRAINT fk_refund_collection FOREIGN KEY(collection) REFERENCES funding.collection (id),
  CONSTRAINT fk_refund_channel_order FOREIGN KEY(channel_order) REFERENCES funding.channel_order (id)
);
CREATE INDEX ix_refund_ask_at ON funding.refund (ask_at) WHERE ask_at is not null;
CREATE INDEX ix_refund_channel_order ON funding.refund (channel_order);
