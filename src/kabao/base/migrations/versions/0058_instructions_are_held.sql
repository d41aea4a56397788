alter table clearing.instruction drop constraint ck_instruction_state;

alter table clearing.instruction add constraint ck_instruction_state
  check (state in ('due', 'released', 'sent', 'paid', 'returned', 'held', 'carried'));
