-- Won, what was taken may be refunded. For those of before nobody can tell which it was.
alter table topups.recall add column funding uuid;
