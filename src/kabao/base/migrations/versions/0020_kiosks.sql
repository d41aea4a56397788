create schema kiosks;

CREATE TABLE kiosks.kiosk (
    terminal UUID NOT NULL,
    next_sequence BIGINT NOT NULL,
    box UUID,
    CONSTRAINT pk_kiosk PRIMARY KEY (terminal)
);

CREATE TABLE kiosks.session (
    id UUID NOT NULL,
    terminal UUID NOT NULL,
    store UUID NOT NULL,
    company UUID NOT NULL,
    card UUID NOT NULL,
    last4 TEXT NOT NULL,
    state TEXT NOT NULL,
    most_fen BIGINT NOT NULL,
    stacked_fen BIGINT NOT NULL,
    credited_fen BIGINT NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    last_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_session PRIMARY KEY (id),
    CONSTRAINT ck_session_state CHECK (state in ('open', 'finished', 'left')),
    CONSTRAINT ck_session_never_more_than_stacked CHECK (credited_fen between 0 and stacked_fen)
);
CREATE INDEX ix_session_open ON kiosks.session (last_at) WHERE state = 'open';
CREATE INDEX ix_session_terminal ON kiosks.session (terminal, id);

CREATE TABLE kiosks.event (
    terminal UUID NOT NULL,
    sequence BIGINT NOT NULL,
    type TEXT NOT NULL,
    value_fen BIGINT,
    session UUID,
    box UUID,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_event PRIMARY KEY (terminal, sequence),
    CONSTRAINT ck_event_type CHECK (type in ('accepted', 'stacked', 'rejected', 'jam', 'cassette_full', 'cassette_removed', 'cassette_inserted')),
    CONSTRAINT ck_event_value CHECK ((type in ('accepted', 'stacked', 'rejected')) = (value_fen is not null)),
    CONSTRAINT ck_event_box CHECK ((type = 'stacked') = (box is not null))
);
CREATE INDEX ix_event_box ON kiosks.event (box) WHERE box is not null;
CREATE INDEX ix_event_session ON kiosks.event (session) WHERE session is not null;

CREATE TABLE kiosks.credit (
    topup UUID NOT NULL,
    session UUID NOT NULL,
    amount_fen BIGINT NOT NULL,
    by UUID,
    reason TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_credit PRIMARY KEY (topup),
    CONSTRAINT ck_credit_positive CHECK (amount_fen > 0),
    CONSTRAINT ck_credit_who_says_why CHECK ((by is null) = (reason is null)),
    CONSTRAINT fk_credit_session FOREIGN KEY(session) REFERENCES kiosks.session (id)
);
CREATE INDEX ix_credit_session ON kiosks.credit (session);

CREATE TABLE kiosks.box (
    id UUID NOT NULL,
    terminal UUID NOT NULL,
    store UUID NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    removed_at TIMESTAMP WITH TIME ZONE,
    counted_at TIMESTAMP WITH TIME ZONE,
    expected_fen BIGINT,
    counted_fen BIGINT,
    pieces JSON,
    CONSTRAINT pk_box PRIMARY KEY (id),
    CONSTRAINT ck_box_removed_first CHECK (counted_at is null or removed_at is not null),
    CONSTRAINT ck_box_counted_whole CHECK ((counted_at is null) = (expected_fen is null) and (counted_at is null) = (counted_fen is null) and (counted_at is null) = (pieces is null))
);
CREATE INDEX ix_box_terminal ON kiosks.box (terminal, id);

alter table merchants.terminal add column kind text not null default 'till';
alter table merchants.terminal add constraint ck_terminal_kind check (kind in ('till', 'kiosk'));
