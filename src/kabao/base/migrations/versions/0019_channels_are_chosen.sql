CREATE TABLE funding.channel_minute (
  channel UUID NOT NULL,
  minute BIGINT NOT NULL,
  succeeded INTEGER NOT NULL,
  refused INTEGER NOT NULL,
  failed INTEGER NOT NULL,
  took_ms BIGINT NOT NULL,
  CONSTRAINT pk_channel_minute PRIMARY KEY (channel, minute),
  CONSTRAINT ck_channel_minute_counts CHECK (succeeded >= 0 and refused >= 0 and failed >= 0 and took_ms >= 0)
);
CREATE INDEX ix_channel_minute_minute ON funding.channel_minute (minute);
CREATE TABLE funding.channel_standing (
  channel UUID NOT NULL,
  is_open BOOLEAN NOT NULL,
  since_us BIGINT NOT NULL,
  streak INTEGER NOT NULL,
  probe_us BIGINT,
  probes INTEGER NOT NULL,
  lowered BOOLEAN NOT NULL,
  CONSTRAINT pk_channel_standing PRIMARY KEY (channel),
  CONSTRAINT ck_channel_standing_probes CHECK (is_open or (probe_us is null and probes = 0)),
  CONSTRAINT ck_channel_standing_streak CHECK (not is_open or streak = 0)
);
CREATE TABLE funding.channel_day (
  channel UUID NOT NULL,
  day DATE NOT NULL,
  used_fen BIGINT NOT NULL,
  CONSTRAINT pk_channel_day PRIMARY KEY (channel, day),
  CONSTRAINT ck_channel_day_used CHECK (used_fen >= 0)
);
CREATE TABLE funding.choice (
  id UUID NOT NULL,
  collection UUID NOT NULL,
  channel UUID,
  amount_fen BIGINT NOT NULL,
  day DATE NOT NULL,
  share TEXT NOT NULL,
  lines JSON NOT NULL,
  created_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_choice PRIMARY KEY (id),
  CONSTRAINT ck_choice_share CHECK (share in ('open', 'kept', 'returned')),
  CONSTRAINT ck_choice_nobody CHECK (channel is not null or share = 'returned')
);
CREATE INDEX ix_choice_collection ON funding.choice (collection);
CREATE INDEX ix_choice_open ON funding.choice (id) WHERE share = 'open';
CREATE TABLE funding.channel_change (
  id UUID NOT NULL,
  channel UUID NOT NULL,
  kind TEXT NOT NULL,
  by_id UUID,
  by_name TEXT,
  reason TEXT,
  facts JSON NOT NULL,
  at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_channel_change PRIMARY KEY (id),
  CONSTRAINT ck_channel_change_kind CHECK (kind in ('opened', 'closed', 'limit_set', 'limit_lowered', 'limit_restored')),
  CONSTRAINT ck_channel_change_by CHECK ((by_id is null) = (by_name is null)),
  CONSTRAINT ck_channel_change_person CHECK ((kind = 'limit_set') = (by_id is not null))
);
CREATE INDEX ix_channel_change_channel ON funding.channel_change (channel);
