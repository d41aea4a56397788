-- Anybody can send a notification that is refused: that must not write to the database.
drop table funding.notice_count;
