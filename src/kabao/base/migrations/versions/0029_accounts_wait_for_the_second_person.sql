CREATE TABLE funding.channel_offer (
  id UUID NOT NULL,
  account BYTEA NOT NULL,
  asked_at TIMESTAMP WITH TIME ZONE NOT NULL,
  CONSTRAINT pk_channel_offer PRIMARY KEY (id)
);
