-- What the change feed reads beside the tables that projects publish: the messages of realtime, whatever partition they stand in.
-- skip when: exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime_messages_publication') or not _millrace.may_become('supabase_realtime_admin') or not pg_catalog.has_database_privilege('supabase_realtime_admin', current_database(), 'create') or not exists (select from pg_catalog.pg_class where oid = to_regclass('realtime.messages') and relowner = 'supabase_realtime_admin'::regrole)
-- Source: supabase/realtime lib/realtime/tenants/replication_connection.ex. Rows go with their partition: deleting them is nobody's news.

set local role supabase_realtime_admin;

create publication supabase_realtime_messages_publication for table realtime.messages
  with (publish = 'insert', publish_via_partition_root = true);
