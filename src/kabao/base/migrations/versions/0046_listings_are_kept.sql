-- Else a process that starts lists every day since the last receipt again.
create table funding.listing (
    channel uuid not null constraint pk_listing primary key
        constraint fk_listing_channel references funding.channel (id),
    until date not null
);
