create schema if not exists evidence;

create table evidence.tree (
  no bigint not null,
  leaves integer not null,
  root bytea not null,
  previous bytea not null,
  signed_at timestamptz not null,
  key integer not null,
  public_key bytea not null,
  signature bytea not null,
  constraint pk_tree primary key (no),
  constraint ck_tree_counted check (no > 0 and leaves > 0),
  constraint ck_tree_sizes check (length(root) = 32 and length(previous) = 32
    and length(signature) = 64 and length(public_key) = 64)
);

create table evidence.leaf (
  op uuid not null,
  subject uuid not null,
  topup boolean not null,
  digest bytea not null,
  tree bigint not null,
  place integer not null,
  constraint pk_leaf primary key (op),
  constraint uq_leaf_place unique (tree, place),
  constraint ck_leaf_sizes check (length(digest) = 32 and place >= 0)
);

create table evidence.copy (
  op uuid not null,
  n integer not null,
  printed_at timestamptz not null,
  printed_by text not null,
  constraint pk_copy primary key (op, n),
  constraint ck_copy_counted check (n > 0),
  constraint ck_copy_printed_by_length check (length(printed_by) <= 80)
);

create table proofs.page_token (
  id uuid not null,
  company uuid not null,
  mac bytea not null,
  created_at timestamptz not null,
  expires_at timestamptz not null,
  spent_at timestamptz,
  constraint pk_page_token primary key (id),
  constraint ck_page_token_mac_length check (length(mac) = 32)
);

create index ix_page_token_expires_at on proofs.page_token (expires_at);
