alter table notices.template add column medium text not null default 'sms';
alter table notices.template alter column medium drop default;
alter table notices.template add column wechat_template text not null default '';
alter table notices.template alter column wechat_template drop default;
alter table notices.template add column fields json not null default '{}';
alter table notices.template alter column fields drop default;
alter table notices.template add constraint ck_template_medium check (medium in ('sms', 'wechat'));
drop index notices.uq_template_living;
create unique index uq_template_living on notices.template (programme, event_type, medium) where retired_at is null;
create table notices.follower (
    customer uuid not null,
    openid bytea not null,
    followed_at timestamp with time zone not null,
    constraint pk_follower primary key (customer)
);
create index ix_delivery_listed on notices.delivery (endpoint, id);
