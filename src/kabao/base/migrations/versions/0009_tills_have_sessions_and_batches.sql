create schema pos;

CREATE TABLE pos.session (
    terminal UUID NOT NULL,
    algorithm TEXT NOT NULL,
    tmk_version INTEGER NOT NULL,
    proven BYTEA,
    fresh BYTEA,
    cashier UUID,
    batch INTEGER NOT NULL,
    settled BOOLEAN NOT NULL,
    signed_in BOOLEAN NOT NULL,
    revision BIGINT NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_session PRIMARY KEY (terminal),
    CONSTRAINT ck_session_batch CHECK (batch between 1 and 999999),
    CONSTRAINT ck_session_has_keys CHECK (proven is not null or fresh is not null)
);

CREATE INDEX ix_session_changed_at ON pos.session (changed_at);

CREATE TABLE pos.batch (
    terminal UUID NOT NULL,
    batch INTEGER NOT NULL,
    store UUID NOT NULL,
    state TEXT NOT NULL,
    debit_fen BIGINT NOT NULL,
    debit_count INTEGER NOT NULL,
    credit_fen BIGINT NOT NULL,
    credit_count INTEGER NOT NULL,
    claimed TEXT NOT NULL,
    asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
    settled_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_batch PRIMARY KEY (terminal, batch),
    CONSTRAINT ck_batch_state CHECK (state in ('uploading', 'settled')),
    CONSTRAINT ck_batch_settled_when CHECK ((state = 'settled') = (settled_at is not null)),
    CONSTRAINT ck_batch_sums CHECK (debit_fen >= 0 and credit_fen >= 0)
);

CREATE INDEX ix_batch_settled_at ON pos.batch (settled_at);

CREATE TABLE pos.entry (
    terminal UUID NOT NULL,
    batch INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    verb TEXT NOT NULL,
    mac BYTEA NOT NULL,
    state TEXT NOT NULL,
    amount_fen BIGINT NOT NULL,
    subject UUID,
    reply TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_entry PRIMARY KEY (terminal, batch, trace),
    CONSTRAINT ck_entry_state CHECK (state in ('open', 'done', 'refused', 'undone', 'barred')),
    CONSTRAINT ck_entry_amount CHECK (amount_fen >= 0)
);

CREATE TABLE pos.uploaded (
    terminal UUID NOT NULL,
    batch INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    direction SMALLINT NOT NULL,
    amount_fen BIGINT NOT NULL,
    CONSTRAINT pk_uploaded PRIMARY KEY (terminal, batch, trace, direction)
);

CREATE TABLE pos.difference (
    terminal UUID NOT NULL,
    batch INTEGER NOT NULL,
    trace INTEGER NOT NULL,
    kind TEXT NOT NULL,
    till_fen BIGINT,
    host_fen BIGINT,
    found_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_difference PRIMARY KEY (terminal, batch, trace, kind),
    CONSTRAINT ck_difference_kind CHECK (kind in ('till_only', 'host_only', 'amount', 'late'))
);

CREATE INDEX ix_difference_found_at ON pos.difference (found_at);
