create schema if not exists paycodes;

CREATE TABLE paycodes.series (
	card UUID NOT NULL,
	number BIGINT NOT NULL,
	CONSTRAINT pk_series PRIMARY KEY (card),
	CONSTRAINT ck_series_numbered CHECK (number > 0)
);

CREATE TABLE paycodes.code (
	blind UUID NOT NULL,
	card UUID NOT NULL,
	number BIGINT NOT NULL,
	made_at TIMESTAMP WITH TIME ZONE NOT NULL,
	until_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_code PRIMARY KEY (blind),
	CONSTRAINT ck_code_lives CHECK (until_at > made_at)
);

CREATE INDEX ix_code_until_at ON paycodes.code (until_at);

CREATE TABLE paycodes.device (
	id UUID NOT NULL,
	card UUID NOT NULL,
	head TEXT NOT NULL,
	name TEXT NOT NULL,
	key_sealed BYTEA,
	enrolled_at TIMESTAMP WITH TIME ZONE NOT NULL,
	revoked_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_device PRIMARY KEY (id),
	CONSTRAINT uq_device_head UNIQUE (head),
	CONSTRAINT ck_device_head_digits CHECK (head ~ '^[0-9]{10}$'),
	CONSTRAINT ck_device_name_length CHECK (length(name) between 1 and 64),
	CONSTRAINT ck_device_key_dies_when_revoked
		CHECK ((key_sealed is null) = (revoked_at is not null))
);

CREATE INDEX ix_device_card ON paycodes.device (card);

CREATE TABLE payments.code_tie (
	series UUID NOT NULL,
	number BIGINT NOT NULL,
	store UUID NOT NULL,
	terminal UUID,
	reference TEXT,
	until_at TIMESTAMP WITH TIME ZONE NOT NULL,
	payment UUID,
	left_fen BIGINT,
	CONSTRAINT pk_code_tie PRIMARY KEY (series),
	CONSTRAINT ck_code_tie_paid_with CHECK ((payment is null) = (left_fen is null)),
	CONSTRAINT ck_code_tie_left CHECK (left_fen >= 0)
) WITH (fillfactor = 70);
