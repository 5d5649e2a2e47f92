-- One row per closed session, and one more for each whose cart came to 500 EUR: what Relance says as `ended` and `abandoned`.
CREATE TABLE events (
  `visitorid` STRING,
  `time` TIMESTAMP_LTZ(3),
  `data` ROW<`total_minor` BIGINT>,
  WATERMARK FOR `time` AS `time` - INTERVAL '${grace}' SECOND
) WITH (
  'connector' = 'kafka',
  'topic' = '${input}',
  'properties.bootstrap.servers' = '${kafka}',
  'properties.group.id' = '${group}',
  'properties.fetch.min.bytes' = '262144',
  'properties.max.partition.fetch.bytes' = '4194304',
  'properties.max.poll.records' = '5000',
  'properties.check.crcs' = 'false',
  'scan.startup.mode' = 'earliest-offset',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TABLE ended (
  `kind` STRING,
  `visitor` STRING,
  `events` BIGINT,
  `total_minor` BIGINT,
  `session_start` TIMESTAMP_LTZ(3),
  `session_end` TIMESTAMP_LTZ(3)
) WITH (
  'connector' = 'kafka',
  'topic' = '${output}',
  'properties.bootstrap.servers' = '${kafka}',
  'properties.linger.ms' = '50',
  'properties.batch.size' = '262144',
  'properties.compression.type' = 'lz4',
  'sink.delivery-guarantee' = 'at-least-once',
  'format' = 'json',
  'json.timestamp-format.standard' = 'ISO-8601'
);

CREATE TEMPORARY VIEW sessions AS
SELECT `visitorid`, COUNT(*) AS `events`, MAX(`data`.`total_minor`) AS `total_minor`,
       SESSION_START(`time`, INTERVAL '${gap}' SECOND) AS `session_start`,
       SESSION_END(`time`, INTERVAL '${gap}' SECOND) AS `session_end`
FROM events
GROUP BY `visitorid`, SESSION(`time`, INTERVAL '${gap}' SECOND);

INSERT INTO ended
SELECT 'ended', `visitorid`, `events`, `total_minor`, `session_start`, `session_end` FROM sessions;

INSERT INTO ended
SELECT 'abandoned', `visitorid`, `events`, `total_minor`, `session_start`, `session_end` FROM sessions
WHERE `total_minor` >= 50000;
