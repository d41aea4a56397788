create schema tenders;

create table tenders.payment_order (
    id uuid not null,
    company uuid not null,
    store uuid not null,
    terminal uuid,
    cashier uuid,
    shift uuid,
    reference text,
    metadata json not null,
    currency char(3) not null,
    amount_fen bigint not null,
    at_once boolean not null,
    status text not null,
    ends_at timestamptz not null,
    frozen_until timestamptz,
    freeze_reason text,
    outcome_unknown boolean not null,
    captured_on date,
    settled_on date,
    created_at timestamptz not null,
    business_date date not null,
    constraint pk_payment_order primary key (id),
    constraint ck_payment_order_positive check (amount_fen > 0),
    constraint ck_payment_order_status check (status in ('open', 'partially_captured', 'captured', 'cancelled', 'expired')),
    constraint ck_payment_order_captured_on check ((captured_on is not null) = (status in ('partially_captured', 'captured'))),
    constraint ck_payment_order_settled check (settled_on is null or status = 'captured'),
    constraint ck_payment_order_freeze check ((frozen_until is null) = (freeze_reason is null) and (frozen_until is not null or not outcome_unknown))
);
create index ix_payment_order_captured_on on tenders.payment_order (captured_on)
    where status = 'captured' and settled_on is null;
create index ix_payment_order_ends_at on tenders.payment_order (ends_at)
    where status in ('open', 'partially_captured');
create index ix_payment_order_reference on tenders.payment_order (reference)
    where reference is not null;
create table tenders.tender (
    id uuid not null,
    payment_order uuid not null,
    no smallint not null,
    kind text not null,
    channel text,
    reference text,
    payment uuid,
    card uuid,
    last4 text,
    requested_fen bigint not null,
    approved_fen bigint not null,
    held_fen bigint not null,
    captured_fen bigint not null,
    refunded_fen bigint not null,
    decline_code text,
    rule text,
    balance_after_fen bigint,
    created_at timestamptz not null,
    constraint pk_tender primary key (id),
    constraint uq_tender_payment_order_no unique (payment_order, no),
    constraint ck_tender_kind check (kind in ('card', 'cash', 'channel')),
    constraint ck_tender_payment check ((kind = 'card') = (payment is not null)),
    constraint ck_tender_channel check ((kind = 'channel') = (channel is not null)),
    constraint ck_tender_decline check ((approved_fen = 0) = (decline_code is not null)),
    constraint ck_tender_amounts_in_order check (requested_fen > 0 and approved_fen <= requested_fen and held_fen >= 0 and captured_fen >= 0 and held_fen + captured_fen <= approved_fen and refunded_fen between 0 and captured_fen),
    constraint uq_tender_payment unique (payment)
);
create table tenders.refund (
    id uuid not null,
    payment_order uuid not null,
    amount_fen bigint not null,
    created_at timestamptz not null,
    constraint pk_refund primary key (id),
    constraint ck_refund_positive check (amount_fen > 0)
);
create index ix_refund_payment_order on tenders.refund (payment_order);
create table tenders.refund_part (
    refund uuid not null,
    tender uuid not null,
    amount_fen bigint not null,
    payment_refund uuid,
    destination text not null,
    rule text,
    constraint pk_refund_part primary key (refund, tender),
    constraint ck_refund_part_positive check (amount_fen > 0),
    constraint ck_refund_part_destination check (destination in ('card', 'suspense', 'cash', 'channel') and (destination in ('card', 'suspense')) = (payment_refund is not null)),
    constraint uq_refund_part_payment_refund unique (payment_refund)
);
