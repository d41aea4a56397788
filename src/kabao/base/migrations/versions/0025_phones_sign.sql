alter table paycodes.device add column public_key bytea;
alter table paycodes.device add constraint ck_device_public_key check (length(public_key) = 64);
