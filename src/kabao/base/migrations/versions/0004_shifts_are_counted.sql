create table merchants.z_report (
    shift uuid not null constraint pk_z_report primary key
        constraint fk_z_report_shift references merchants.shift (id),
    terminal uuid not null
        constraint fk_z_report_terminal references merchants.terminal (id),
    number integer not null constraint ck_z_report_number check (number > 0),
    lines json not null,
    cash_expected_fen bigint not null,
    cash_declared_fen bigint constraint ck_z_report_declared check (cash_declared_fen >= 0),
    created_at timestamptz not null,
    constraint uq_z_report_terminal_number unique (terminal, number)
);
create function merchants.refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '%.% is only ever added to', tg_table_schema, tg_table_name
    using errcode = 'insufficient_privilege';
end $$;
create trigger z_report_stays before update or delete on merchants.z_report
    for each row execute function merchants.refuse_change();
create trigger z_report_never_emptied before truncate on merchants.z_report
    for each statement execute function merchants.refuse_change();
