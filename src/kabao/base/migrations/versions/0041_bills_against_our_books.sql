create schema if not exists reconciliation;

create table reconciliation.run (
    id uuid not null,
    source text not null,
    subject text not null,
    company uuid not null,
    day date not null,
    state text not null,
    lines_digest bytea not null,
    books_digest bytea,
    result_digest bytea,
    lines integer not null,
    books integer not null,
    pairs integer not null,
    breaks integer not null,
    theirs_fen bigint not null,
    ours_fen bigint not null,
    fees_mfen bigint not null,
    taken_at timestamp with time zone not null,
    constraint pk_run primary key (id),
    constraint ck_run_state check (state in ('taken', 'matched', 'finished', 'replaced')),
    constraint ck_run_result check (state in ('taken', 'replaced') or result_digest is not null)
);

create index ix_run_day on reconciliation.run (day);

create index ix_run_unfinished on reconciliation.run (id) where state in ('taken', 'matched');

create unique index uq_run_of_day on reconciliation.run (source, subject, day) where state <> 'replaced';

create table reconciliation.line (
    run uuid not null,
    no bigint not null,
    kind text not null,
    our_no text collate "C" not null,
    our_sub_no text collate "C" not null,
    their_no text collate "C" not null,
    amount_fen bigint not null,
    fee_mfen bigint not null,
    currency char(3) not null,
    at_us bigint not null,
    day date not null,
    status text not null,
    constraint pk_line primary key (run, no),
    constraint ck_line_amount check (amount_fen >= 0),
    constraint ck_line_kind check (kind in ('pay', 'refund', 'recall', 'return', 'fee', 'settle', 'deposit'))
);

create table reconciliation.book (
    run uuid not null,
    no bigint not null,
    kind text not null,
    our_no text collate "C" not null,
    our_sub_no text collate "C" not null,
    their_no text collate "C" not null,
    amount_fen bigint not null,
    fee_mfen bigint,
    currency char(3) not null,
    at_us bigint not null,
    day date not null,
    status text not null,
    constraint pk_book primary key (run, no),
    constraint ck_book_amount check (amount_fen >= 0),
    constraint ck_book_kind check (kind in ('pay', 'refund', 'recall', 'return', 'fee', 'settle', 'deposit'))
);

create table reconciliation.pair (
    run uuid not null,
    line bigint not null,
    book bigint not null,
    round text not null,
    constraint pk_pair primary key (run, book, line)
);

create table reconciliation.break (
    run uuid not null,
    no integer not null,
    id uuid not null,
    class text not null,
    line bigint,
    book bigint,
    kind text not null,
    our_no text collate "C" not null,
    our_sub_no text collate "C" not null,
    their_no text collate "C" not null,
    state text not null,
    why text,
    closed_at timestamp with time zone,
    constraint pk_break primary key (run, no),
    constraint ck_break_class check (class in ('missing_here', 'missing_there', 'amount', 'status', 'duplicate', 'wrong_day', 'fee', 'currency')),
    constraint ck_break_state check (state in ('open', 'cleared', 'corrected')),
    constraint ck_break_closed check ((state = 'open') = (closed_at is null)),
    constraint ck_break_of_something check (line is not null or book is not null),
    constraint uq_break_id unique (id)
);

create index ix_break_open on reconciliation.break (run) where state = 'open';

create index ix_break_our_no on reconciliation.break (our_no) where our_no <> '';

create index ix_break_their_no on reconciliation.break (their_no) where their_no <> '';
