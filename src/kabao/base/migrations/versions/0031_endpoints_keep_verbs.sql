-- What an endpoint may be told depends on its maker's verbs. One that was there before
-- is told what it was told so far.
alter table notices.endpoint add column verbs text[];
update notices.endpoint set verbs = array['cards:read', 'cases:read', 'collections:read',
    'merchants:read', 'payments:read', 'switches:read', 'topups:read', 'webhook-endpoints:read'];
alter table notices.endpoint alter column verbs set not null;
