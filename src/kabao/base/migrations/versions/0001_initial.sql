create schema if not exists access;

create schema if not exists base;

create schema if not exists cards;

create schema if not exists customers;

create schema if not exists ledger;

create schema if not exists merchants;

create schema if not exists org;

create schema if not exists payments;

create schema if not exists policy;

create schema if not exists proofs;

create schema if not exists topups;

create schema if not exists vault;

CREATE TABLE base.outbox (
    xid xid8 DEFAULT pg_current_xact_id() NOT NULL,
    n BIGINT GENERATED ALWAYS AS IDENTITY (CACHE 64),
    root UUID,
    root_seq BIGINT,
    type TEXT NOT NULL,
    version SMALLINT NOT NULL,
    payload JSON NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_outbox PRIMARY KEY (xid, n)
);

CREATE TABLE base.outbox_reader (
    name TEXT NOT NULL,
    xid xid8 NOT NULL,
    n BIGINT NOT NULL,
    CONSTRAINT pk_outbox_reader PRIMARY KEY (name)
);

CREATE TABLE base.clock (
    one BOOLEAN DEFAULT true NOT NULL,
    anchor_us BIGINT NOT NULL,
    epoch_us BIGINT NOT NULL,
    rate DOUBLE PRECISION NOT NULL,
    CONSTRAINT pk_clock PRIMARY KEY (one),
    CONSTRAINT ck_clock_one_row CHECK (one),
    CONSTRAINT ck_clock_forwards CHECK (rate > 0)
);

CREATE TABLE base.schema_version (
    id SMALLINT DEFAULT '1' NOT NULL,
    min_code_version TEXT NOT NULL,
    CONSTRAINT pk_schema_version PRIMARY KEY (id),
    CONSTRAINT ck_schema_version_one_row CHECK (id = 1)
);

CREATE TABLE base.idempotency (
    company UUID NOT NULL,
    route TEXT NOT NULL,
    key TEXT NOT NULL,
    mac BYTEA NOT NULL,
    status SMALLINT,
    body BYTEA,
    sealed BOOLEAN NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_idempotency PRIMARY KEY (company, route, key),
    CONSTRAINT ck_idempotency_key_length CHECK (length(key) between 1 and 255),
    CONSTRAINT ck_idempotency_mac_length CHECK (length(mac) = 32),
    CONSTRAINT ck_idempotency_only_successes CHECK (status between 200 and 299),
    CONSTRAINT ck_idempotency_body_kept CHECK (body is not null or status is null or sealed)
);

CREATE INDEX ix_idempotency_secrets ON base.idempotency (created_at) WHERE sealed and body is not null;

COMMENT ON COLUMN base.idempotency.route IS 'method and path template';

COMMENT ON COLUMN base.idempotency.mac IS 'keyed MAC of the parsed request';

COMMENT ON COLUMN base.idempotency.status IS 'null only inside the claiming transaction';

COMMENT ON COLUMN base.idempotency.body IS 'null again once a secret has been purged';

COMMENT ON COLUMN base.idempotency.sealed IS 'body holds a one-time secret';

CREATE TABLE policy.switch (
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    scope_id UUID NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    set_by TEXT NOT NULL,
    approved_by TEXT,
    set_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_switch PRIMARY KEY (name, scope, scope_id),
    CONSTRAINT ck_switch_scope CHECK (scope in ('group', 'company', 'programme')),
    CONSTRAINT ck_switch_scope_id CHECK ((scope = 'group') = (scope_id = '00000000000000000000000000000000'::uuid)),
    CONSTRAINT ck_switch_state CHECK (state in ('stopped', 'running')),
    CONSTRAINT ck_switch_name CHECK (length(name) between 1 and 40),
    CONSTRAINT ck_switch_reason CHECK (length(reason) between 1 and 500),
    CONSTRAINT ck_switch_set_by CHECK (length(set_by) between 1 and 100),
    CONSTRAINT ck_switch_approved_by CHECK (length(approved_by) between 1 and 100),
    CONSTRAINT ck_switch_two_persons CHECK (approved_by <> set_by)
);

CREATE TABLE policy.switch_change (
    version BIGINT NOT NULL,
    name TEXT NOT NULL,
    scope TEXT NOT NULL,
    scope_id UUID NOT NULL,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    set_by TEXT NOT NULL,
    approved_by TEXT,
    set_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_switch_change PRIMARY KEY (version),
    CONSTRAINT ck_switch_change_scope CHECK (scope in ('group', 'company', 'programme')),
    CONSTRAINT ck_switch_change_scope_id CHECK ((scope = 'group') = (scope_id = '00000000000000000000000000000000'::uuid)),
    CONSTRAINT ck_switch_change_state CHECK (state in ('stopped', 'running')),
    CONSTRAINT ck_switch_change_name CHECK (length(name) between 1 and 40),
    CONSTRAINT ck_switch_change_reason CHECK (length(reason) between 1 and 500),
    CONSTRAINT ck_switch_change_set_by CHECK (length(set_by) between 1 and 100),
    CONSTRAINT ck_switch_change_approved_by CHECK (length(approved_by) between 1 and 100),
    CONSTRAINT ck_switch_change_two_persons CHECK (approved_by <> set_by)
);

CREATE TABLE policy.switch_version (
    one BOOLEAN NOT NULL,
    version BIGINT NOT NULL,
    CONSTRAINT pk_switch_version PRIMARY KEY (one),
    CONSTRAINT ck_switch_version_one CHECK (one)
);

CREATE TABLE org.company (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    issuer_type TEXT NOT NULL,
    jurisdiction TEXT NOT NULL,
    parent UUID,
    credit_code CHAR(18),
    state TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_company PRIMARY KEY (id),
    CONSTRAINT ck_company_name_length CHECK (length(name) between 1 and 120),
    CONSTRAINT ck_company_issuer_type CHECK (issuer_type in ('group', 'brand', 'scale', 'other')),
    CONSTRAINT ck_company_jurisdiction CHECK (jurisdiction in ('national', 'beijing', 'shanghai')),
    CONSTRAINT ck_company_state CHECK (state in ('open', 'closed')),
    CONSTRAINT ck_company_not_its_own_parent CHECK (parent <> id),
    CONSTRAINT fk_company_parent FOREIGN KEY(parent) REFERENCES org.company (id),
    CONSTRAINT uq_company_credit_code UNIQUE (credit_code)
);

CREATE INDEX ix_company_parent ON org.company (parent);

CREATE INDEX ix_company_revision ON org.company (revision);

CREATE TABLE org.revision (
    id SMALLINT NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_revision PRIMARY KEY (id),
    CONSTRAINT ck_revision_one_row CHECK (id = 1)
);

CREATE TABLE vault.key_check (
    kind TEXT NOT NULL,
    version INTEGER NOT NULL,
    algorithm TEXT NOT NULL,
    check_value TEXT NOT NULL,
    first_seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_key_check PRIMARY KEY (kind, version, algorithm),
    CONSTRAINT ck_key_check_version CHECK (version between 1 and 65535)
);

COMMENT ON TABLE vault.key_check IS 'A check value of every key that ever served this database; nothing secret.';

CREATE TABLE ledger.root (
    id UUID NOT NULL,
    card UUID NOT NULL,
    programme UUID NOT NULL,
    issuer UUID NOT NULL,
    currency CHAR(3) NOT NULL,
    state SMALLINT NOT NULL,
    valid_until DATE,
    principal_fen BIGINT DEFAULT '0' NOT NULL,
    bonus_fen BIGINT DEFAULT '0' NOT NULL,
    principal_held_fen BIGINT DEFAULT '0' NOT NULL,
    bonus_held_fen BIGINT DEFAULT '0' NOT NULL,
    seq BIGINT DEFAULT '0' NOT NULL,
    event_seq BIGINT DEFAULT '0' NOT NULL,
    secret_version INTEGER DEFAULT '1' NOT NULL,
    pin_tries SMALLINT DEFAULT '0' NOT NULL,
    pin_locked_until_us BIGINT DEFAULT '0' NOT NULL,
    day INTEGER DEFAULT '0' NOT NULL,
    day_count INTEGER DEFAULT '0' NOT NULL,
    day_sum_fen BIGINT DEFAULT '0' NOT NULL,
    burst_from_us BIGINT DEFAULT '0' NOT NULL,
    burst_count INTEGER DEFAULT '0' NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_root PRIMARY KEY (id),
    CONSTRAINT ck_root_never_negative CHECK (principal_fen >= 0 and bonus_fen >= 0 and principal_held_fen >= 0 and bonus_held_fen >= 0)
)
 WITH (fillfactor = 70);

CREATE TABLE ledger.transfer (
    root UUID NOT NULL,
    seq BIGINT NOT NULL,
    op UUID NOT NULL,
    related UUID,
    debit SMALLINT NOT NULL,
    credit SMALLINT NOT NULL,
    house UUID,
    amount_fen BIGINT NOT NULL,
    currency CHAR(3) NOT NULL,
    principal_after_fen BIGINT NOT NULL,
    bonus_after_fen BIGINT NOT NULL,
    held_after_fen BIGINT NOT NULL,
    purpose SMALLINT NOT NULL,
    issuer UUID NOT NULL,
    selling_store UUID,
    redeeming_store UUID,
    terminal UUID,
    cashier UUID,
    shift UUID,
    channel TEXT,
    occurred_at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    business_date DATE NOT NULL,
    writer INTEGER NOT NULL,
    batch BIGINT NOT NULL,
    CONSTRAINT pk_transfer PRIMARY KEY (root, seq, business_date),
    CONSTRAINT ck_transfer_positive CHECK (amount_fen > 0),
    CONSTRAINT ck_transfer_two_accounts CHECK (debit <> credit),
    CONSTRAINT ck_transfer_touches_its_root CHECK (debit < 10 or credit < 10),
    CONSTRAINT ck_transfer_house_has_owner CHECK ((house is null) = (debit < 10 and credit < 10)),
    CONSTRAINT ck_transfer_never_negative CHECK (principal_after_fen >= 0 and bonus_after_fen >= 0 and held_after_fen >= 0)
)
 PARTITION BY RANGE (business_date);

CREATE INDEX ix_transfer_recorded_brin ON ledger.transfer USING brin (business_date, recorded_at);

CREATE TABLE ledger.lot (
    root UUID NOT NULL,
    seq BIGINT NOT NULL,
    op UUID NOT NULL,
    principal_fen BIGINT NOT NULL,
    bonus_fen BIGINT NOT NULL,
    price_fen BIGINT NOT NULL,
    contract_date DATE NOT NULL,
    selling_store UUID,
    selling_company UUID,
    channel TEXT NOT NULL,
    payer UUID,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_lot PRIMARY KEY (root, seq),
    CONSTRAINT ck_lot_amounts CHECK (principal_fen >= 0 and bonus_fen >= 0 and price_fen >= 0)
);

CREATE TABLE ledger.hold (
    id UUID NOT NULL,
    root UUID NOT NULL,
    state SMALLINT NOT NULL,
    principal_fen BIGINT NOT NULL,
    bonus_fen BIGINT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_hold PRIMARY KEY (id),
    CONSTRAINT ck_hold_never_negative CHECK (principal_fen >= 0 and bonus_fen >= 0)
);

CREATE INDEX ix_hold_open ON ledger.hold (expires_at) WHERE state = 0;

CREATE INDEX ix_hold_root ON ledger.hold (root);

CREATE TABLE ledger.operation (
    company UUID NOT NULL,
    key TEXT NOT NULL,
    id UUID NOT NULL,
    root UUID,
    mac BYTEA NOT NULL,
    state SMALLINT NOT NULL,
    result TEXT NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_operation PRIMARY KEY (company, key)
);

CREATE TABLE ledger.writer (
    id INTEGER GENERATED ALWAYS AS IDENTITY,
    shared BOOLEAN NOT NULL,
    last_no BIGINT DEFAULT '0' NOT NULL,
    last_digest BYTEA NOT NULL,
    CONSTRAINT pk_writer PRIMARY KEY (id)
)
 WITH (fillfactor = 50);

CREATE TABLE ledger.batch (
    writer INTEGER NOT NULL,
    no BIGINT NOT NULL,
    transfers INTEGER NOT NULL,
    digest BYTEA NOT NULL,
    business_date DATE NOT NULL,
    recorded_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_batch PRIMARY KEY (writer, no)
);

CREATE TABLE ledger.closed_day (
    business_date DATE NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    transfers BIGINT NOT NULL,
    CONSTRAINT pk_closed_day PRIMARY KEY (business_date)
);

CREATE TABLE ledger.checkpoint (
    account SMALLINT NOT NULL,
    owner UUID NOT NULL,
    currency CHAR(3) NOT NULL,
    business_date DATE NOT NULL,
    debit_fen BIGINT NOT NULL,
    credit_fen BIGINT NOT NULL,
    CONSTRAINT pk_checkpoint PRIMARY KEY (account, owner, currency, business_date)
);

CREATE TABLE access.operator (
    id UUID NOT NULL,
    login TEXT NOT NULL,
    company UUID NOT NULL,
    companies UUID[],
    stores UUID[],
    roles TEXT[] NOT NULL,
    state TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    name BYTEA,
    password_hash TEXT,
    totp_secret BYTEA,
    totp_step BIGINT DEFAULT '0' NOT NULL,
    tries INTEGER DEFAULT '0' NOT NULL,
    locked_until TIMESTAMP WITH TIME ZONE,
    invitation BYTEA,
    invited_until TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_operator PRIMARY KEY (id),
    CONSTRAINT ck_operator_login_form CHECK (login ~ '^[a-z0-9][a-z0-9._-]{1,31}$'),
    CONSTRAINT ck_operator_state CHECK (state in ('invited', 'active', 'suspended')),
    CONSTRAINT ck_operator_active_has_secrets CHECK (state <> 'active' or (password_hash is not null and totp_secret is not null)),
    CONSTRAINT ck_operator_tries CHECK (tries >= 0),
    CONSTRAINT uq_operator_login UNIQUE (login),
    CONSTRAINT uq_operator_invitation UNIQUE (invitation)
);

CREATE INDEX ix_operator_company ON access.operator (company);

CREATE TABLE access.audit_log (
    seq BIGINT NOT NULL,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    company UUID,
    actor UUID,
    via UUID,
    verb TEXT NOT NULL,
    subject TEXT NOT NULL,
    reason TEXT NOT NULL,
    approval UUID,
    outcome TEXT NOT NULL,
    code TEXT NOT NULL,
    address TEXT NOT NULL,
    request_id TEXT NOT NULL,
    digest BYTEA NOT NULL,
    seal BYTEA NOT NULL,
    CONSTRAINT pk_audit_log PRIMARY KEY (seq),
    CONSTRAINT ck_audit_log_seq CHECK (seq > 0),
    CONSTRAINT ck_audit_log_outcome CHECK (outcome in ('done', 'refused')),
    CONSTRAINT ck_audit_log_verb_length CHECK (length(verb) between 1 and 64),
    CONSTRAINT ck_audit_log_text_length CHECK (length(subject) <= 80 and length(reason) <= 255),
    CONSTRAINT ck_audit_log_origin_length CHECK (length(address) <= 64 and length(request_id) <= 64)
);

CREATE INDEX ix_audit_log_subject ON access.audit_log (subject, seq);

CREATE INDEX ix_audit_log_at ON access.audit_log (at);

CREATE INDEX ix_audit_log_actor ON access.audit_log (actor, seq);

CREATE TABLE access.audit_head (
    id SMALLINT NOT NULL,
    seq BIGINT NOT NULL,
    digest BYTEA NOT NULL,
    CONSTRAINT pk_audit_head PRIMARY KEY (id),
    CONSTRAINT ck_audit_head_one_row CHECK (id = 1)
)
 WITH (fillfactor = 50);

CREATE TABLE access.revision (
    id SMALLINT NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_revision PRIMARY KEY (id),
    CONSTRAINT ck_revision_one_row CHECK (id = 1)
);

CREATE TABLE proofs.code (
    id UUID NOT NULL,
    purpose TEXT NOT NULL,
    subject TEXT NOT NULL,
    mac BYTEA NOT NULL,
    tries_left SMALLINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    proved_at TIMESTAMP WITH TIME ZONE,
    spent_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_code PRIMARY KEY (id),
    CONSTRAINT ck_code_purpose_length CHECK (length(purpose) between 1 and 40),
    CONSTRAINT ck_code_subject_length CHECK (length(subject) between 1 and 80),
    CONSTRAINT ck_code_tries CHECK (tries_left >= 0),
    CONSTRAINT ck_code_proved_before_spent CHECK (spent_at is null or proved_at is not null)
);

CREATE INDEX ix_code_open ON proofs.code (purpose, subject) WHERE proved_at IS NULL;

CREATE INDEX ix_code_expires_at ON proofs.code (expires_at);

CREATE TABLE proofs.sms (
    id UUID NOT NULL,
    purpose TEXT NOT NULL,
    phone BYTEA NOT NULL,
    text BYTEA,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    taken_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_sms PRIMARY KEY (id),
    CONSTRAINT ck_sms_taken_once CHECK ((text is null) = (taken_at is not null))
);

CREATE INDEX ix_sms_waiting ON proofs.sms (id) WHERE taken_at IS NULL;

CREATE INDEX ix_sms_created_at ON proofs.sms (created_at);

CREATE TABLE proofs.counter (
    name TEXT NOT NULL,
    subject BYTEA NOT NULL,
    hits INTEGER NOT NULL,
    until_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_counter PRIMARY KEY (name, subject),
    CONSTRAINT ck_counter_name_length CHECK (length(name) between 1 and 40),
    CONSTRAINT ck_counter_hits CHECK (hits > 0)
)
 WITH (fillfactor = 70);

CREATE TABLE merchants.terminal (
    id UUID NOT NULL,
    store UUID NOT NULL,
    terminal_no CHAR(8) NOT NULL,
    model TEXT NOT NULL,
    certification_scheme TEXT,
    certification_no TEXT,
    certification_expires_on DATE,
    state TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_terminal PRIMARY KEY (id),
    CONSTRAINT uq_terminal_store_terminal_no UNIQUE (store, terminal_no),
    CONSTRAINT ck_terminal_model_length CHECK (length(model) between 1 and 60),
    CONSTRAINT ck_terminal_certification_whole CHECK ((certification_scheme is null) = (certification_no is null) and (certification_scheme is not null or certification_expires_on is null)),
    CONSTRAINT ck_terminal_state CHECK (state in ('active', 'blocked', 'retired'))
);

CREATE INDEX ix_terminal_revision ON merchants.terminal (revision);

CREATE TABLE merchants.cashier (
    id UUID NOT NULL,
    store UUID NOT NULL,
    code TEXT NOT NULL,
    name BYTEA NOT NULL,
    role TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_cashier PRIMARY KEY (id),
    CONSTRAINT uq_cashier_store_code UNIQUE (store, code),
    CONSTRAINT ck_cashier_code_length CHECK (length(code) between 1 and 16),
    CONSTRAINT ck_cashier_role CHECK (role in ('cashier', 'supervisor')),
    CONSTRAINT ck_cashier_state CHECK (state in ('active', 'left'))
);

CREATE INDEX ix_cashier_revision ON merchants.cashier (revision);

CREATE TABLE merchants.fee_plan (
    id UUID NOT NULL,
    company UUID NOT NULL,
    name TEXT NOT NULL,
    rate_bp INTEGER NOT NULL,
    per_item_fen BIGINT NOT NULL,
    min_fen BIGINT NOT NULL,
    max_fen BIGINT,
    rounding TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_fee_plan PRIMARY KEY (id),
    CONSTRAINT ck_fee_plan_name_length CHECK (length(name) between 1 and 120),
    CONSTRAINT ck_fee_plan_rate CHECK (rate_bp between 0 and 10000),
    CONSTRAINT ck_fee_plan_bounds CHECK (per_item_fen >= 0 and min_fen >= 0 and max_fen >= min_fen),
    CONSTRAINT ck_fee_plan_rounding CHECK (rounding in ('half_up', 'down', 'up'))
);

CREATE INDEX ix_fee_plan_revision ON merchants.fee_plan (revision);

CREATE TABLE merchants.revision (
    id SMALLINT NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_revision PRIMARY KEY (id),
    CONSTRAINT ck_revision_one_row CHECK (id = 1)
);

CREATE TABLE customers.customer (
    id UUID NOT NULL,
    company UUID NOT NULL,
    party TEXT NOT NULL,
    state TEXT NOT NULL,
    level TEXT NOT NULL,
    profile BYTEA,
    phone_index BYTEA,
    identity_index BYTEA,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_customer PRIMARY KEY (id),
    CONSTRAINT ck_customer_party CHECK (party in ('person', 'unit')),
    CONSTRAINT ck_customer_level CHECK (level in ('none', 'phone', 'identity', 'face')),
    CONSTRAINT ck_customer_state CHECK (state in ('active', 'erased')),
    CONSTRAINT ck_customer_erased_is_empty CHECK ((state = 'erased') = (profile is null)),
    CONSTRAINT ck_customer_erased_is_not_found CHECK (profile is not null or (phone_index is null and identity_index is null))
);

CREATE UNIQUE INDEX uq_customer_identity ON customers.customer (identity_index, company) WHERE identity_index is not null;

CREATE INDEX ix_customer_phone ON customers.customer (phone_index) WHERE phone_index is not null;

CREATE TABLE cards.programme (
    id UUID NOT NULL,
    issuer UUID NOT NULL,
    card_class TEXT NOT NULL,
    currency CHAR(3) NOT NULL,
    jurisdiction TEXT NOT NULL,
    state TEXT NOT NULL,
    version INTEGER NOT NULL,
    terms JSONB NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_programme PRIMARY KEY (id),
    CONSTRAINT ck_programme_card_class CHECK (card_class in ('registered', 'bearer')),
    CONSTRAINT ck_programme_jurisdiction CHECK (jurisdiction in ('national', 'beijing', 'shanghai')),
    CONSTRAINT ck_programme_state CHECK (state in ('draft', 'active', 'suspended', 'retired')),
    CONSTRAINT ck_programme_version CHECK (version >= 1)
);

CREATE INDEX ix_programme_revision ON cards.programme (revision);

CREATE INDEX ix_programme_issuer ON cards.programme (issuer, id);

CREATE TABLE cards.revision (
    id SMALLINT NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_revision PRIMARY KEY (id),
    CONSTRAINT ck_revision_one_row CHECK (id = 1)
);

CREATE TABLE cards.card (
    id UUID NOT NULL,
    root UUID NOT NULL,
    programme UUID NOT NULL,
    carrier TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    state_at TIMESTAMP WITH TIME ZONE NOT NULL,
    frozen_until TIMESTAMP WITH TIME ZONE,
    holder UUID,
    expires_on DATE,
    last4 CHAR(4) NOT NULL,
    number_sealed BYTEA NOT NULL,
    key_version SMALLINT DEFAULT '1' NOT NULL,
    batch UUID,
    serial INTEGER,
    location UUID,
    replaces UUID,
    replaced_by UUID,
    issued_at TIMESTAMP WITH TIME ZONE NOT NULL,
    activated_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_card PRIMARY KEY (id),
    CONSTRAINT ck_card_carrier CHECK (carrier in ('physical', 'electronic')),
    CONSTRAINT ck_card_state CHECK (state in ('in_stock', 'blocked', 'inactive', 'posted', 'active', 'frozen', 'lost', 'lost_frozen', 'expired', 'replaced', 'closed')),
    CONSTRAINT ck_card_last4 CHECK (last4 ~ '^[0-9]{4}$'),
    CONSTRAINT ck_card_key_version CHECK (key_version between 1 and 99),
    CONSTRAINT ck_card_batch_and_serial CHECK ((batch is null) = (serial is null)),
    CONSTRAINT ck_card_not_its_own_replacement CHECK (replaces <> id and replaced_by <> id)
)
 WITH (fillfactor = 90);

CREATE INDEX ix_card_expires_on ON cards.card (expires_on) WHERE state = 'active';

CREATE INDEX ix_card_root ON cards.card (root);

CREATE INDEX ix_card_holder ON cards.card (holder, id) WHERE holder is not null;

CREATE INDEX ix_card_frozen_until ON cards.card (frozen_until) WHERE frozen_until is not null;

CREATE UNIQUE INDEX ux_card_serial ON cards.card (batch, serial) WHERE batch is not null;

CREATE INDEX ix_card_programme ON cards.card (programme, id);

CREATE TABLE cards.credential (
    kind SMALLINT NOT NULL,
    blind UUID NOT NULL,
    card UUID NOT NULL,
    root UUID NOT NULL,
    secret_version INTEGER DEFAULT '1' NOT NULL,
    pin_salt BYTEA,
    pin_mac BYTEA,
    CONSTRAINT pk_credential PRIMARY KEY (kind, blind),
    CONSTRAINT ck_credential_pin CHECK ((pin_salt is null) = (pin_mac is null))
)
 WITH (fillfactor = 90);

CREATE INDEX ix_credential_card ON cards.credential (card, kind);

CREATE TABLE cards.batch (
    id UUID NOT NULL,
    programme UUID NOT NULL,
    carrier TEXT NOT NULL,
    reference TEXT NOT NULL,
    location UUID,
    requested INTEGER NOT NULL,
    issued INTEGER DEFAULT '0' NOT NULL,
    state TEXT NOT NULL,
    created_by TEXT NOT NULL,
    approval UUID,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_batch PRIMARY KEY (id),
    CONSTRAINT ck_batch_carrier CHECK (carrier in ('physical', 'electronic')),
    CONSTRAINT ck_batch_requested CHECK (requested > 0),
    CONSTRAINT ck_batch_issued CHECK (issued between 0 and requested),
    CONSTRAINT ck_batch_state CHECK (state in ('running', 'done', 'stopped')),
    CONSTRAINT ck_batch_reference_length CHECK (length(reference) <= 120)
);

CREATE INDEX ix_batch_programme ON cards.batch (programme);

CREATE TABLE cards.card_change (
    n BIGINT GENERATED ALWAYS AS IDENTITY,
    card UUID NOT NULL,
    verb TEXT NOT NULL,
    reason TEXT NOT NULL,
    from_state TEXT NOT NULL,
    to_state TEXT NOT NULL,
    basis TEXT NOT NULL,
    other_card UUID,
    party UUID,
    amount_fen BIGINT,
    note TEXT DEFAULT '' NOT NULL,
    done_by TEXT NOT NULL,
    store UUID,
    terminal UUID,
    approval UUID,
    at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_card_change PRIMARY KEY (n),
    CONSTRAINT ck_card_change_basis CHECK (basis in ('holder', 'possession', 'purchase', 'staff', 'system')),
    CONSTRAINT ck_card_change_amount CHECK (amount_fen >= 0),
    CONSTRAINT ck_card_change_note_length CHECK (length(note) <= 200)
);

CREATE INDEX ix_card_change_card ON cards.card_change (card, n);

CREATE TABLE cards.pin_permit (
    approval UUID NOT NULL,
    card UUID NOT NULL,
    makers TEXT[] NOT NULL,
    until TIMESTAMP WITH TIME ZONE NOT NULL,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_pin_permit PRIMARY KEY (approval)
);

CREATE INDEX ix_pin_permit_card ON cards.pin_permit (card);

CREATE TABLE cards.location (
    id UUID NOT NULL,
    company UUID NOT NULL,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    store UUID,
    terminal UUID,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_location PRIMARY KEY (id),
    CONSTRAINT uq_location_name UNIQUE (company, name),
    CONSTRAINT ck_location_kind CHECK (kind in ('factory', 'headquarters', 'store', 'till')),
    CONSTRAINT ck_location_store CHECK ((store is not null) = (kind in ('store', 'till'))),
    CONSTRAINT ck_location_terminal CHECK ((terminal is not null) = (kind = 'till')),
    CONSTRAINT ck_location_name_length CHECK (length(name) between 1 and 80)
);

CREATE UNIQUE INDEX ux_location_store ON cards.location (store) WHERE kind = 'store';

CREATE UNIQUE INDEX ux_location_terminal ON cards.location (terminal) WHERE kind = 'till';

CREATE TABLE topups.topup (
    id UUID NOT NULL,
    company UUID NOT NULL,
    root UUID NOT NULL,
    card UUID NOT NULL,
    last4 TEXT NOT NULL,
    store UUID NOT NULL,
    terminal UUID,
    cashier UUID,
    shift UUID,
    channel TEXT NOT NULL,
    reference TEXT,
    amount_fen BIGINT NOT NULL,
    currency CHAR(3) NOT NULL,
    status TEXT NOT NULL,
    balance_after_fen BIGINT NOT NULL,
    confirmed_by UUID,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    business_date DATE NOT NULL,
    CONSTRAINT pk_topup PRIMARY KEY (id),
    CONSTRAINT ck_topup_positive CHECK (amount_fen > 0),
    CONSTRAINT ck_topup_status CHECK (status in ('confirmed', 'voided'))
);

CREATE INDEX ix_topup_reference ON topups.topup (reference) WHERE reference is not null;

CREATE TABLE payments.payment (
    id UUID NOT NULL,
    company UUID NOT NULL,
    root UUID,
    card UUID,
    last4 TEXT,
    store UUID NOT NULL,
    terminal UUID,
    cashier UUID,
    shift UUID,
    channel TEXT NOT NULL,
    reference TEXT,
    metadata JSON NOT NULL,
    currency CHAR(3) NOT NULL,
    requested_fen BIGINT NOT NULL,
    approved_fen BIGINT NOT NULL,
    captured_fen BIGINT NOT NULL,
    refunded_fen BIGINT NOT NULL,
    principal_fen BIGINT NOT NULL,
    bonus_fen BIGINT NOT NULL,
    refunded_principal_fen BIGINT NOT NULL,
    refunded_bonus_fen BIGINT NOT NULL,
    held_principal_fen BIGINT NOT NULL,
    held_bonus_fen BIGINT NOT NULL,
    status TEXT NOT NULL,
    decline_code TEXT,
    rule TEXT,
    balance_after_fen BIGINT,
    tender TEXT NOT NULL,
    invoiceable_fen BIGINT NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    business_date DATE NOT NULL,
    CONSTRAINT pk_payment PRIMARY KEY (id),
    CONSTRAINT ck_payment_positive CHECK (requested_fen > 0),
    CONSTRAINT ck_payment_amounts_in_order CHECK (refunded_fen <= captured_fen and captured_fen <= approved_fen and approved_fen <= requested_fen and refunded_fen >= 0),
    CONSTRAINT ck_payment_captured_parts CHECK (principal_fen + bonus_fen = captured_fen),
    CONSTRAINT ck_payment_refunded_parts CHECK (refunded_principal_fen + refunded_bonus_fen = refunded_fen and refunded_principal_fen <= principal_fen and refunded_bonus_fen <= bonus_fen),
    CONSTRAINT ck_payment_decline CHECK ((status = 'declined') = (decline_code is not null))
);

CREATE INDEX ix_payment_reference ON payments.payment (reference) WHERE reference is not null;

CREATE TABLE payments.refund (
    id UUID NOT NULL,
    payment UUID NOT NULL,
    amount_fen BIGINT NOT NULL,
    principal_fen BIGINT NOT NULL,
    bonus_fen BIGINT NOT NULL,
    destination TEXT NOT NULL,
    rule TEXT,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_refund PRIMARY KEY (id),
    CONSTRAINT ck_refund_parts CHECK (amount_fen > 0 and principal_fen + bonus_fen = amount_fen)
);

CREATE INDEX ix_refund_payment ON payments.refund (payment);

CREATE TABLE payments.reversal (
    id UUID NOT NULL,
    payment UUID,
    amount_fen BIGINT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_reversal PRIMARY KEY (id)
);

CREATE INDEX ix_reversal_payment ON payments.reversal (payment);

CREATE TABLE org.store (
    id UUID NOT NULL,
    company UUID NOT NULL,
    name TEXT NOT NULL,
    code TEXT NOT NULL,
    region TEXT NOT NULL,
    city TEXT NOT NULL,
    merchant_no CHAR(15) NOT NULL,
    state TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_store PRIMARY KEY (id),
    CONSTRAINT uq_store_company_code UNIQUE (company, code),
    CONSTRAINT ck_store_name_length CHECK (length(name) between 1 and 120),
    CONSTRAINT ck_store_code_length CHECK (length(code) between 1 and 32),
    CONSTRAINT ck_store_place_length CHECK (length(region) <= 60 and length(city) <= 60),
    CONSTRAINT ck_store_state CHECK (state in ('open', 'closed')),
    CONSTRAINT ck_store_closed_at CHECK ((state = 'closed') = (closed_at is not null)),
    CONSTRAINT fk_store_company FOREIGN KEY(company) REFERENCES org.company (id),
    CONSTRAINT uq_store_merchant_no UNIQUE (merchant_no)
);

CREATE INDEX ix_store_revision ON org.store (revision);

CREATE TABLE org.brand_link (
    id UUID NOT NULL,
    issuer UUID NOT NULL,
    member UUID NOT NULL,
    from_date DATE NOT NULL,
    until_date DATE,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_brand_link PRIMARY KEY (id),
    CONSTRAINT ck_brand_link_two_companies CHECK (issuer <> member),
    CONSTRAINT ck_brand_link_days CHECK (until_date >= from_date),
    CONSTRAINT fk_brand_link_issuer FOREIGN KEY(issuer) REFERENCES org.company (id),
    CONSTRAINT fk_brand_link_member FOREIGN KEY(member) REFERENCES org.company (id)
);

CREATE INDEX ix_brand_link_pair ON org.brand_link (issuer, member);

CREATE INDEX ix_brand_link_revision ON org.brand_link (revision);

CREATE TABLE access.api_key (
    id UUID NOT NULL,
    name TEXT NOT NULL,
    hint TEXT NOT NULL,
    token_hash BYTEA NOT NULL,
    owner UUID NOT NULL,
    company UUID NOT NULL,
    companies UUID[],
    stores UUID[],
    roles TEXT[] NOT NULL,
    verbs TEXT[] NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE,
    revoked_at TIMESTAMP WITH TIME ZONE,
    used_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_api_key PRIMARY KEY (id),
    CONSTRAINT ck_api_key_name_length CHECK (length(name) between 1 and 64),
    CONSTRAINT ck_api_key_hash_length CHECK (length(token_hash) = 32),
    CONSTRAINT uq_api_key_token_hash UNIQUE (token_hash),
    CONSTRAINT fk_api_key_owner FOREIGN KEY(owner) REFERENCES access.operator (id)
);

CREATE INDEX ix_api_key_owner ON access.api_key (owner);

CREATE INDEX ix_api_key_company ON access.api_key (company);

CREATE TABLE access.session (
    id UUID NOT NULL,
    operator UUID NOT NULL,
    token_hash BYTEA NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    seen_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_session PRIMARY KEY (id),
    CONSTRAINT ck_session_hash_length CHECK (length(token_hash) = 32),
    CONSTRAINT fk_session_operator FOREIGN KEY(operator) REFERENCES access.operator (id),
    CONSTRAINT uq_session_token_hash UNIQUE (token_hash)
);

CREATE INDEX ix_session_operator ON access.session (operator);

CREATE INDEX ix_session_expires_at ON access.session (expires_at);

CREATE TABLE access.approval (
    id UUID NOT NULL,
    kind TEXT NOT NULL,
    company UUID NOT NULL,
    companies UUID[],
    payload BYTEA NOT NULL,
    digest BYTEA NOT NULL,
    seal BYTEA NOT NULL,
    maker UUID NOT NULL,
    maker_via UUID NOT NULL,
    reason TEXT NOT NULL,
    state TEXT NOT NULL,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
    checker UUID,
    checker_via UUID,
    decision_reason TEXT,
    decided_at TIMESTAMP WITH TIME ZONE,
    result BYTEA,
    CONSTRAINT pk_approval PRIMARY KEY (id),
    CONSTRAINT ck_approval_kind_length CHECK (length(kind) between 1 and 40),
    CONSTRAINT ck_approval_payload_length CHECK (length(payload) <= 64000),
    CONSTRAINT ck_approval_reason_length CHECK (length(reason) between 1 and 255),
    CONSTRAINT ck_approval_state CHECK (state in ('pending', 'approved', 'refused', 'expired', 'executed')),
    CONSTRAINT ck_approval_two_people CHECK (checker is distinct from maker),
    CONSTRAINT ck_approval_decided_by_somebody CHECK ((state in ('approved', 'refused', 'executed')) = (checker is not null and checker_via is not null and decided_at is not null)),
    CONSTRAINT fk_approval_maker FOREIGN KEY(maker) REFERENCES access.operator (id),
    CONSTRAINT fk_approval_checker FOREIGN KEY(checker) REFERENCES access.operator (id)
);

CREATE INDEX ix_approval_pending ON access.approval (expires_at) WHERE state = 'pending';

CREATE INDEX ix_approval_maker ON access.approval (maker);

CREATE TABLE merchants.shift (
    id UUID NOT NULL,
    store UUID NOT NULL,
    cashier UUID NOT NULL,
    terminal UUID NOT NULL,
    opened_at TIMESTAMP WITH TIME ZONE NOT NULL,
    closed_at TIMESTAMP WITH TIME ZONE,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_shift PRIMARY KEY (id),
    CONSTRAINT ck_shift_closed_after_opened CHECK (closed_at >= opened_at),
    CONSTRAINT fk_shift_cashier FOREIGN KEY(cashier) REFERENCES merchants.cashier (id),
    CONSTRAINT fk_shift_terminal FOREIGN KEY(terminal) REFERENCES merchants.terminal (id)
);

CREATE UNIQUE INDEX uq_shift_open ON merchants.shift (cashier) WHERE closed_at is null;

CREATE INDEX ix_shift_revision ON merchants.shift (revision);

CREATE INDEX ix_shift_cashier ON merchants.shift (cashier, id);

CREATE INDEX ix_shift_store ON merchants.shift (store, id);

CREATE TABLE merchants.fee_term (
    store UUID NOT NULL,
    effective_from DATE NOT NULL,
    plan UUID,
    created_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revision BIGINT NOT NULL,
    CONSTRAINT pk_fee_term PRIMARY KEY (store, effective_from),
    CONSTRAINT fk_fee_term_plan FOREIGN KEY(plan) REFERENCES merchants.fee_plan (id)
);

CREATE INDEX ix_fee_term_revision ON merchants.fee_term (revision);

CREATE TABLE customers.verification (
    id UUID NOT NULL,
    customer UUID NOT NULL,
    method TEXT NOT NULL,
    reference TEXT,
    verified_at TIMESTAMP WITH TIME ZONE NOT NULL,
    verified_by TEXT NOT NULL,
    voided_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_verification PRIMARY KEY (id),
    CONSTRAINT ck_verification_reference_length CHECK (length(reference) <= 64),
    CONSTRAINT fk_verification_customer FOREIGN KEY(customer) REFERENCES customers.customer (id)
);

CREATE INDEX ix_verification_customer ON customers.verification (customer);

CREATE TABLE customers.consent (
    id UUID NOT NULL,
    customer UUID NOT NULL,
    kind TEXT NOT NULL,
    version TEXT NOT NULL,
    document_hash CHAR(64) NOT NULL,
    given_at TIMESTAMP WITH TIME ZONE NOT NULL,
    recorded_by TEXT NOT NULL,
    withdrawn_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_consent PRIMARY KEY (id),
    CONSTRAINT ck_consent_version_length CHECK (length(version) between 1 and 32),
    CONSTRAINT ck_consent_hash_form CHECK (document_hash ~ '^[0-9a-f]{64}$'),
    CONSTRAINT ck_consent_withdrawn_after_given CHECK (withdrawn_at >= given_at),
    CONSTRAINT fk_consent_customer FOREIGN KEY(customer) REFERENCES customers.customer (id)
);

CREATE INDEX ix_consent_customer ON customers.consent (customer, id);

CREATE TABLE cards.programme_version (
    programme UUID NOT NULL,
    version INTEGER NOT NULL,
    state TEXT NOT NULL,
    terms JSONB NOT NULL,
    changed_at TIMESTAMP WITH TIME ZONE NOT NULL,
    changed_by TEXT NOT NULL,
    approval UUID,
    CONSTRAINT pk_programme_version PRIMARY KEY (programme, version),
    CONSTRAINT fk_programme_version_programme FOREIGN KEY(programme) REFERENCES cards.programme (id)
);

CREATE TABLE cards.number_range (
    prefix TEXT NOT NULL,
    programme UUID NOT NULL,
    number_length SMALLINT NOT NULL,
    issued BIGINT DEFAULT '0' NOT NULL,
    CONSTRAINT pk_number_range PRIMARY KEY (prefix),
    CONSTRAINT ck_number_range_prefix CHECK (prefix ~ '^[0-9]{4,12}$'),
    CONSTRAINT ck_number_range_number_length CHECK (number_length between 16 and 19),
    CONSTRAINT ck_number_range_issued CHECK (issued >= 0),
    CONSTRAINT fk_number_range_programme FOREIGN KEY(programme) REFERENCES cards.programme (id)
);

CREATE INDEX ix_number_range_programme ON cards.number_range (programme);

CREATE TABLE cards.batch_chunk (
    id UUID NOT NULL,
    batch UUID NOT NULL,
    first_serial INTEGER NOT NULL,
    cards INTEGER NOT NULL,
    secrets_sealed BYTEA,
    wipe_at TIMESTAMP WITH TIME ZONE NOT NULL,
    revealed_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_batch_chunk PRIMARY KEY (id),
    CONSTRAINT uq_batch_chunk_batch_first_serial UNIQUE (batch, first_serial),
    CONSTRAINT ck_batch_chunk_cards CHECK (first_serial >= 1 and cards >= 1),
    CONSTRAINT fk_batch_chunk_batch FOREIGN KEY(batch) REFERENCES cards.batch (id)
);

CREATE INDEX ix_batch_chunk_wipe ON cards.batch_chunk (wipe_at) WHERE secrets_sealed is not null;

CREATE TABLE cards.stock_range (
    batch UUID NOT NULL,
    first_serial INTEGER NOT NULL,
    last_serial INTEGER NOT NULL,
    location UUID NOT NULL,
    state TEXT NOT NULL,
    handover UUID,
    CONSTRAINT pk_stock_range PRIMARY KEY (batch, first_serial),
    CONSTRAINT ck_stock_range_serials CHECK (first_serial >= 1 and last_serial >= first_serial),
    CONSTRAINT ck_stock_range_state CHECK (state in ('in_place', 'moving', 'missing')),
    CONSTRAINT ck_stock_range_handover CHECK ((handover is not null) = (state = 'moving')),
    CONSTRAINT fk_stock_range_location FOREIGN KEY(location) REFERENCES cards.location (id)
);

CREATE INDEX ix_stock_range_location ON cards.stock_range (location);

CREATE TABLE cards.handover (
    id UUID NOT NULL,
    batch UUID NOT NULL,
    first_serial INTEGER NOT NULL,
    last_serial INTEGER NOT NULL,
    from_location UUID NOT NULL,
    to_location UUID NOT NULL,
    state TEXT NOT NULL,
    sent_count INTEGER NOT NULL,
    received_count INTEGER,
    sent_by TEXT NOT NULL,
    sent_at TIMESTAMP WITH TIME ZONE NOT NULL,
    ended_by TEXT,
    ended_at TIMESTAMP WITH TIME ZONE,
    CONSTRAINT pk_handover PRIMARY KEY (id),
    CONSTRAINT ck_handover_state CHECK (state in ('sent', 'received', 'cancelled')),
    CONSTRAINT ck_handover_two_locations CHECK (from_location <> to_location),
    CONSTRAINT ck_handover_serials CHECK (first_serial >= 1 and last_serial >= first_serial),
    CONSTRAINT ck_handover_counts CHECK (sent_count >= 1 and received_count between 0 and sent_count),
    CONSTRAINT ck_handover_ended CHECK ((state = 'sent') = (ended_at is null)),
    CONSTRAINT fk_handover_from_location FOREIGN KEY(from_location) REFERENCES cards.location (id),
    CONSTRAINT fk_handover_to_location FOREIGN KEY(to_location) REFERENCES cards.location (id)
);

CREATE INDEX ix_handover_batch ON cards.handover (batch);

CREATE INDEX ix_handover_to ON cards.handover (to_location, id);

CREATE INDEX ix_handover_from ON cards.handover (from_location, id);

CREATE TABLE cards.stock_count (
    id UUID NOT NULL,
    location UUID NOT NULL,
    batch UUID,
    expected INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    note TEXT DEFAULT '' NOT NULL,
    counted_by TEXT NOT NULL,
    counted_at TIMESTAMP WITH TIME ZONE NOT NULL,
    CONSTRAINT pk_stock_count PRIMARY KEY (id),
    CONSTRAINT ck_stock_count_counts CHECK (expected >= 0 and counted >= 0),
    CONSTRAINT ck_stock_count_note_length CHECK (length(note) <= 200),
    CONSTRAINT fk_stock_count_location FOREIGN KEY(location) REFERENCES cards.location (id)
);

CREATE INDEX ix_stock_count_location ON cards.stock_count (location, id);

create function access.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '%.% is only ever added to', tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege';
end $$;

create trigger audit_log_only_grows before update or delete on access.audit_log
  for each row execute function access.refuse_change();

create trigger audit_log_never_emptied before truncate on access.audit_log
  for each statement execute function access.refuse_change();

insert into base.schema_version (min_code_version) values ('0.1.0');

-- Jobs: the schema of procrastinate, in public.

-- Procrastinate Schema

DO $$
BEGIN
    CREATE EXTENSION IF NOT EXISTS plpgsql WITH SCHEMA pg_catalog;
EXCEPTION
    WHEN OTHERS THEN
        -- On managed PostgreSQL services (e.g. Azure Database for PostgreSQL, Amazon RDS,
        -- Google Cloud SQL), CREATE EXTENSION may fail with various error codes:
        -- insufficient_privilege, feature_not_supported, or provider-specific errors.
        -- Before ignoring, verify the extension actually exists — if it does not exist
        -- and cannot be created, re-raise so the failure is explicit.
        IF EXISTS (SELECT 1 FROM pg_extension WHERE extname = 'plpgsql') THEN
            RAISE NOTICE 'plpgsql extension already exists, skipping creation.';
        ELSE
            RAISE;
        END IF;
END;
$$;

-- Enums

CREATE TYPE procrastinate_job_status AS ENUM (
    'todo',  -- The job is queued
    'doing',  -- The job has been fetched by a worker
    'succeeded',  -- The job ended successfully
    'failed',  -- The job ended with an error
    'cancelled', -- The job was cancelled
    'aborting',  -- legacy, not used anymore since v3.0.0
    'aborted'  -- The job was aborted
);

CREATE TYPE procrastinate_job_event_type AS ENUM (
    'deferred',  -- Job created, in todo
    'started',  -- todo -> doing
    'deferred_for_retry',  -- doing -> todo
    'failed',  -- doing -> failed
    'succeeded',  -- doing -> succeeded
    'cancelled', -- todo -> cancelled
    'abort_requested', -- not a state transition, but set in a separate field
    'aborted', -- doing -> aborted (only allowed when abort_requested field is set)
    'scheduled', -- not a state transition, but recording when a task is scheduled for
    'retried' -- Manually retried failed job
);

-- Composite Types

CREATE TYPE procrastinate_job_to_defer_v1 AS (
    queue_name character varying,
    task_name character varying,
    priority integer,
    lock text,
    queueing_lock text,
    args jsonb,
    scheduled_at timestamp with time zone
);

-- Tables

CREATE TABLE procrastinate_workers(
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    last_heartbeat timestamp with time zone NOT NULL DEFAULT NOW()
);

CREATE TABLE procrastinate_jobs (
    id bigserial PRIMARY KEY,
    queue_name character varying(128) NOT NULL,
    task_name character varying(128) NOT NULL,
    priority integer DEFAULT 0 NOT NULL,
    lock text,
    queueing_lock text,
    args jsonb DEFAULT '{}' NOT NULL,
    status procrastinate_job_status DEFAULT 'todo'::procrastinate_job_status NOT NULL,
    scheduled_at timestamp with time zone NULL,
    attempts integer DEFAULT 0 NOT NULL,
    abort_requested boolean DEFAULT false NOT NULL,
    worker_id bigint REFERENCES procrastinate_workers(id) ON DELETE SET NULL,
    CONSTRAINT check_not_todo_abort_requested CHECK (NOT (status = 'todo' AND abort_requested = true))
);

CREATE TABLE procrastinate_periodic_defers (
    id bigserial PRIMARY KEY,
    task_name character varying(128) NOT NULL,
    defer_timestamp bigint,
    job_id bigint REFERENCES procrastinate_jobs(id) NULL,
    periodic_id character varying(128) NOT NULL DEFAULT '',
    CONSTRAINT procrastinate_periodic_defers_unique UNIQUE (task_name, periodic_id, defer_timestamp)
);

CREATE TABLE procrastinate_events (
    id bigserial PRIMARY KEY,
    job_id bigint NOT NULL REFERENCES procrastinate_jobs ON DELETE CASCADE,
    type procrastinate_job_event_type,
    at timestamp with time zone DEFAULT NOW() NULL
);

-- Constraints & Indices

-- this prevents from having several jobs with the same queueing lock in the "todo" state
CREATE UNIQUE INDEX procrastinate_jobs_queueing_lock_idx_v1 ON procrastinate_jobs (queueing_lock) WHERE status = 'todo';
-- this prevents from having several jobs with the same lock in the "doing" state
CREATE UNIQUE INDEX procrastinate_jobs_lock_idx_v1 ON procrastinate_jobs (lock) WHERE status = 'doing';

-- Index for select_stalled_jobs_by_heartbeat query
CREATE INDEX idx_procrastinate_jobs_worker_not_null ON procrastinate_jobs(worker_id) WHERE worker_id IS NOT NULL AND status = 'doing'::procrastinate_job_status;

CREATE INDEX procrastinate_jobs_queue_name_idx_v1 ON procrastinate_jobs(queue_name);
CREATE INDEX procrastinate_jobs_id_lock_idx_v1 ON procrastinate_jobs (id, lock) WHERE status = ANY (ARRAY['todo'::procrastinate_job_status, 'doing'::procrastinate_job_status]);
CREATE INDEX procrastinate_jobs_priority_idx_v1 ON procrastinate_jobs(priority desc, id asc) WHERE (status = 'todo'::procrastinate_job_status);

CREATE INDEX procrastinate_events_job_id_fkey_v1 ON procrastinate_events(job_id);

CREATE INDEX procrastinate_periodic_defers_job_id_fkey_v1 ON procrastinate_periodic_defers(job_id);

CREATE INDEX idx_procrastinate_workers_last_heartbeat ON procrastinate_workers(last_heartbeat);

-- Functions
CREATE FUNCTION procrastinate_defer_jobs_v1(
    jobs procrastinate_job_to_defer_v1[]
)
    RETURNS bigint[]
    LANGUAGE plpgsql
AS $$
DECLARE
    job_ids bigint[];
BEGIN
    WITH inserted_jobs AS (
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, queueing_lock, args, scheduled_at)
        SELECT (job).queue_name,
               (job).task_name,
               (job).priority,
               (job).lock,
               (job).queueing_lock,
               (job).args,
               (job).scheduled_at
        FROM unnest(jobs) AS job
        RETURNING id
    )
    SELECT array_agg(id) FROM inserted_jobs INTO job_ids;

    RETURN job_ids;
END;
$$;

CREATE FUNCTION procrastinate_defer_periodic_job_v2(
    _queue_name character varying,
    _lock character varying,
    _queueing_lock character varying,
    _task_name character varying,
    _priority integer,
    _periodic_id character varying,
    _defer_timestamp bigint,
    _args jsonb
)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
	_job_id bigint;
	_defer_id bigint;
BEGIN
    INSERT
        INTO procrastinate_periodic_defers (task_name, periodic_id, defer_timestamp)
        VALUES (_task_name, _periodic_id, _defer_timestamp)
        ON CONFLICT DO NOTHING
        RETURNING id into _defer_id;

    IF _defer_id IS NULL THEN
        RETURN NULL;
    END IF;

    UPDATE procrastinate_periodic_defers
        SET job_id = (
            SELECT COALESCE((
                SELECT unnest(procrastinate_defer_jobs_v1(
                    ARRAY[
                        ROW(
                            _queue_name,
                            _task_name,
                            _priority,
                            _lock,
                            _queueing_lock,
                            _args,
                            NULL::timestamptz
                        )
                    ]::procrastinate_job_to_defer_v1[]
                ))
            ), NULL)
        )
        WHERE id = _defer_id
        RETURNING job_id INTO _job_id;

    DELETE
        FROM procrastinate_periodic_defers
        USING (
            SELECT id
            FROM procrastinate_periodic_defers
            WHERE procrastinate_periodic_defers.task_name = _task_name
            AND procrastinate_periodic_defers.periodic_id = _periodic_id
            AND procrastinate_periodic_defers.defer_timestamp < _defer_timestamp
            ORDER BY id
            FOR UPDATE
        ) to_delete
        WHERE procrastinate_periodic_defers.id = to_delete.id;

    RETURN _job_id;
END;
$$;

CREATE FUNCTION procrastinate_fetch_job_v2(
    target_queue_names character varying[],
    p_worker_id bigint
)
    RETURNS procrastinate_jobs
    LANGUAGE plpgsql
AS $$
DECLARE
	found_jobs procrastinate_jobs;
BEGIN
    WITH candidate AS (
        SELECT jobs.*
            FROM procrastinate_jobs AS jobs
            WHERE
                -- reject the job if its lock has earlier or higher priority jobs
                NOT EXISTS (
                    SELECT 1
                        FROM procrastinate_jobs AS other_jobs
                        WHERE
                            jobs.lock IS NOT NULL
                            AND other_jobs.lock = jobs.lock
                            AND (
                                -- job with same lock is already running
                                other_jobs.status = 'doing'
                                OR
                                -- job with same lock is waiting and has higher priority (or same priority but was queued first)
                                (
                                    other_jobs.status = 'todo'
                                    AND (
                                        other_jobs.priority > jobs.priority
                                        OR (
                                        other_jobs.priority = jobs.priority
                                        AND other_jobs.id < jobs.id
                                        )
                                    )
                                )
                            )
                )
                AND jobs.status = 'todo'
                AND (target_queue_names IS NULL OR jobs.queue_name = ANY( target_queue_names ))
                AND (jobs.scheduled_at IS NULL OR jobs.scheduled_at <= now())
            ORDER BY jobs.priority DESC, jobs.id ASC LIMIT 1
            FOR UPDATE OF jobs SKIP LOCKED
    )
    UPDATE procrastinate_jobs
        SET status = 'doing', worker_id = p_worker_id
        FROM candidate
        WHERE procrastinate_jobs.id = candidate.id
        RETURNING procrastinate_jobs.* INTO found_jobs;

 RETURN found_jobs;
END;
$$;

CREATE FUNCTION procrastinate_finish_job_v1(job_id bigint, end_status procrastinate_job_status, delete_job boolean)
    RETURNS void
    LANGUAGE plpgsql
AS $$
DECLARE
    _job_id bigint;
BEGIN
    IF end_status NOT IN ('succeeded', 'failed', 'aborted') THEN
        RAISE 'End status should be either "succeeded", "failed" or "aborted" (job id: %)', job_id;
    END IF;
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = end_status,
            abort_requested = false,
            attempts = CASE status
                WHEN 'doing' THEN attempts + 1 ELSE attempts
            END
        WHERE id = job_id AND status IN ('todo', 'doing')
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" or "todo" status (job id: %)', job_id;
    END IF;
END;
$$;

CREATE FUNCTION procrastinate_cancel_job_v1(job_id bigint, abort boolean, delete_job boolean)
    RETURNS bigint
    LANGUAGE plpgsql
AS $$
DECLARE
    _job_id bigint;
BEGIN
    IF delete_job THEN
        DELETE FROM procrastinate_jobs
        WHERE id = job_id AND status = 'todo'
        RETURNING id INTO _job_id;
    END IF;
    IF _job_id IS NULL THEN
        IF abort THEN
            UPDATE procrastinate_jobs
            SET abort_requested = true,
                status = CASE status
                    WHEN 'todo' THEN 'cancelled'::procrastinate_job_status ELSE status
                END
            WHERE id = job_id AND status IN ('todo', 'doing')
            RETURNING id INTO _job_id;
        ELSE
            UPDATE procrastinate_jobs
            SET status = 'cancelled'::procrastinate_job_status
            WHERE id = job_id AND status = 'todo'
            RETURNING id INTO _job_id;
        END IF;
    END IF;
    RETURN _job_id;
END;
$$;

CREATE FUNCTION procrastinate_retry_job_v1(
    job_id bigint,
    retry_at timestamp with time zone,
    new_priority integer,
    new_queue_name character varying,
    new_lock character varying
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    _job_id bigint;
    _abort_requested boolean;
BEGIN
    SELECT abort_requested FROM procrastinate_jobs
    WHERE id = job_id AND status = 'doing'
    FOR UPDATE
    INTO _abort_requested;
    IF _abort_requested THEN
        UPDATE procrastinate_jobs
        SET status = 'failed'::procrastinate_job_status
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = 'todo'::procrastinate_job_status,
            attempts = attempts + 1,
            scheduled_at = retry_at,
            priority = COALESCE(new_priority, priority),
            queue_name = COALESCE(new_queue_name, queue_name),
            lock = COALESCE(new_lock, lock)
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    END IF;

    IF _job_id IS NULL THEN
        RAISE 'Job was not found or not in "doing" status (job id: %)', job_id;
    END IF;
END;
$$;

CREATE FUNCTION procrastinate_retry_job_v2(
    job_id bigint,
    retry_at timestamp with time zone,
    new_priority integer,
    new_queue_name character varying,
    new_lock character varying
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    _job_id bigint;
    _abort_requested boolean;
    _current_status procrastinate_job_status;
BEGIN
    SELECT status, abort_requested FROM procrastinate_jobs
    WHERE id = job_id AND status IN ('doing', 'failed')
    FOR UPDATE
    INTO _current_status, _abort_requested;
    IF _current_status = 'doing' AND _abort_requested THEN
        UPDATE procrastinate_jobs
        SET status = 'failed'::procrastinate_job_status
        WHERE id = job_id AND status = 'doing'
        RETURNING id INTO _job_id;
    ELSE
        UPDATE procrastinate_jobs
        SET status = 'todo'::procrastinate_job_status,
            attempts = attempts + 1,
            scheduled_at = retry_at,
            priority = COALESCE(new_priority, priority),
            queue_name = COALESCE(new_queue_name, queue_name),
            lock = COALESCE(new_lock, lock)
        WHERE id = job_id AND status IN ('doing', 'failed')
        RETURNING id INTO _job_id;
    END IF;

    IF _job_id IS NULL THEN
        RAISE 'Job was not found or has an invalid status to retry (job id: %)', job_id;
    END IF;

END;
$$;

CREATE FUNCTION procrastinate_notify_queue_job_inserted_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
DECLARE
    payload TEXT;
BEGIN
    SELECT json_build_object('type', 'job_inserted', 'job_id', NEW.id)::text INTO payload;
	PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
	PERFORM pg_notify('procrastinate_any_queue_v1', payload);
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_notify_queue_abort_job_v1()
RETURNS trigger
    LANGUAGE plpgsql
AS $$
DECLARE
    payload TEXT;
BEGIN
    SELECT json_build_object('type', 'abort_job_requested', 'job_id', NEW.id)::text INTO payload;
	PERFORM pg_notify('procrastinate_queue_v1#' || NEW.queue_name, payload);
	PERFORM pg_notify('procrastinate_any_queue_v1', payload);
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_function_status_events_insert_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type)
        VALUES (NEW.id, 'deferred'::procrastinate_job_event_type);
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_function_status_events_update_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    WITH t AS (
        SELECT CASE
            WHEN OLD.status = 'todo'::procrastinate_job_status
                AND NEW.status = 'doing'::procrastinate_job_status
                THEN 'started'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'todo'::procrastinate_job_status
                THEN 'deferred_for_retry'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'failed'::procrastinate_job_status
                THEN 'failed'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'succeeded'::procrastinate_job_status
                THEN 'succeeded'::procrastinate_job_event_type
            WHEN OLD.status = 'todo'::procrastinate_job_status
                AND (
                    NEW.status = 'cancelled'::procrastinate_job_status
                    OR NEW.status = 'failed'::procrastinate_job_status
                    OR NEW.status = 'succeeded'::procrastinate_job_status
                )
                THEN 'cancelled'::procrastinate_job_event_type
            WHEN OLD.status = 'doing'::procrastinate_job_status
                AND NEW.status = 'aborted'::procrastinate_job_status
                THEN 'aborted'::procrastinate_job_event_type
            WHEN OLD.status = 'failed'::procrastinate_job_status
                AND NEW.status = 'todo'::procrastinate_job_status
                THEN 'retried'::procrastinate_job_event_type
            ELSE NULL
        END as event_type
    )
    INSERT INTO procrastinate_events(job_id, type)
        SELECT NEW.id, t.event_type
        FROM t
        WHERE t.event_type IS NOT NULL;
	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_function_scheduled_events_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type, at)
        VALUES (NEW.id, 'scheduled'::procrastinate_job_event_type, NEW.scheduled_at);

	RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_trigger_abort_requested_events_procedure_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO procrastinate_events(job_id, type)
        VALUES (NEW.id, 'abort_requested'::procrastinate_job_event_type);
    RETURN NEW;
END;
$$;

CREATE FUNCTION procrastinate_unlink_periodic_defers_v1()
    RETURNS trigger
    LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE procrastinate_periodic_defers
    SET job_id = NULL
    WHERE job_id = OLD.id;
    RETURN OLD;
END;
$$;

CREATE FUNCTION procrastinate_register_worker_v1()
    RETURNS TABLE(worker_id bigint)
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY
    INSERT INTO procrastinate_workers DEFAULT VALUES
    RETURNING procrastinate_workers.id;
END;
$$;

CREATE FUNCTION procrastinate_unregister_worker_v1(worker_id bigint)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    DELETE FROM procrastinate_workers
    WHERE id = worker_id;
END;
$$;

CREATE FUNCTION procrastinate_update_heartbeat_v1(worker_id bigint)
    RETURNS void
    LANGUAGE plpgsql
AS $$
BEGIN
    UPDATE procrastinate_workers
    SET last_heartbeat = NOW()
    WHERE id = worker_id;
END;
$$;

CREATE FUNCTION procrastinate_prune_stalled_workers_v1(seconds_since_heartbeat float)
    RETURNS TABLE(worker_id bigint)
    LANGUAGE plpgsql
AS $$
BEGIN
    RETURN QUERY
    DELETE FROM procrastinate_workers
    WHERE last_heartbeat < NOW() - (seconds_since_heartbeat || 'SECOND')::INTERVAL
    RETURNING procrastinate_workers.id;
END;
$$;

-- Triggers

CREATE TRIGGER procrastinate_jobs_notify_queue_job_inserted_v1
    AFTER INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.status = 'todo'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_notify_queue_job_inserted_v1();

CREATE TRIGGER procrastinate_jobs_notify_queue_job_aborted_v1
    AFTER UPDATE OF abort_requested ON procrastinate_jobs
    FOR EACH ROW WHEN ((old.abort_requested = false AND new.abort_requested = true AND new.status = 'doing'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_notify_queue_abort_job_v1();

CREATE TRIGGER procrastinate_trigger_status_events_update_v1
    AFTER UPDATE OF status ON procrastinate_jobs
    FOR EACH ROW
    EXECUTE PROCEDURE procrastinate_trigger_function_status_events_update_v1();

CREATE TRIGGER procrastinate_trigger_status_events_insert_v1
    AFTER INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.status = 'todo'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_trigger_function_status_events_insert_v1();

CREATE TRIGGER procrastinate_trigger_scheduled_events_v1
    AFTER UPDATE OR INSERT ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.scheduled_at IS NOT NULL AND new.status = 'todo'::procrastinate_job_status))
    EXECUTE PROCEDURE procrastinate_trigger_function_scheduled_events_v1();

CREATE TRIGGER procrastinate_trigger_abort_requested_events_v1
    AFTER UPDATE OF abort_requested ON procrastinate_jobs
    FOR EACH ROW WHEN ((new.abort_requested = true))
    EXECUTE PROCEDURE procrastinate_trigger_abort_requested_events_procedure_v1();

CREATE TRIGGER procrastinate_trigger_delete_jobs_v1
    BEFORE DELETE ON procrastinate_jobs
    FOR EACH ROW EXECUTE PROCEDURE procrastinate_unlink_periodic_defers_v1();
